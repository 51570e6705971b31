"""libvirt's event loop: one thread per process, started before the first connection.

Events and keepalive are delivered by it.  libvirt keeps the loop's state in globals, so a process that was forked after
the loop had started must not use libvirt: the check below says so instead of letting it hang.
"""

import os
import threading

import libvirt

_lock = threading.Lock()
_started_in: int | None = None


def ensure_event_loop() -> None:
    """Start the loop once.  RuntimeError in a process forked after its parent had started it."""
    global _started_in
    with _lock:
        if _started_in == os.getpid():
            return
        if _started_in is not None:
            raise RuntimeError("libvirt was used before this process was forked; open connections only after the fork")
        # Without a handler of its own libvirt writes every error to standard error, expected ones too.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run, name="libvirt-events", daemon=True).start()
        _started_in = os.getpid()


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
