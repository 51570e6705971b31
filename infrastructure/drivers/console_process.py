"""The process of one text console: a VE's serial port or container console between libvirt and two pipes.

``text_console`` starts it (``python -m infrastructure.drivers.console_process``); docs/adr/0005 tells why it is one.
Standard input begins with one line of JSON, {"uri", "uuid", "node", "force", "seconds"}; the answer is one line, {} or
an error's attributes; from then on both pipes carry the console's bytes.  It ends when either side does.

One thread does everything, as libvirt 9.0 needs it.  libvirt reads its socket only while its event loop runs: it does
not run while the output pipe is full, and so a reader that is slow holds the guest back instead of filling memory.
"""

import json
import os
import select
import signal
import sys
import time
from typing import Any

import libvirt

from infrastructure.drivers.errors import Conflict, DriverError, NotSupported
from infrastructure.drivers.libvirt_errors import driver_error

CHUNK = 64 << 10
KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 2  # safe here, see above: a node that is gone ends the process within 15 s
STDIN, STDOUT = 0, 1
_READABLE = libvirt.VIR_STREAM_EVENT_READABLE
_ENDED = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP


class _Pipe:
    """The open stream and the two pipes."""

    def __init__(self, stream: "libvirt.virStream") -> None:
        self._stream = stream
        self.over = False
        stream.eventAddCallback(_READABLE | _ENDED, self._from_guest, None)
        events = libvirt.VIR_EVENT_HANDLE_READABLE | libvirt.VIR_EVENT_HANDLE_HANGUP | libvirt.VIR_EVENT_HANDLE_ERROR
        libvirt.virEventAddHandle(STDIN, events, self._from_browser, None)

    def _from_guest(self, _stream: "libvirt.virStream", events: int, _opaque: None) -> None:
        if events & _READABLE and not self.over:
            try:
                data = self._stream.recv(CHUNK)
            except libvirt.libvirtError:
                self.over = True
                return
            if data == b"":
                self.over = True
            elif data != -2:  # nothing there after all
                self._write(data)
        elif events & _ENDED:
            self.over = True

    def _write(self, data: bytes) -> None:
        """Pass output on; while the pipe is full, keys still reach the guest."""
        rest = memoryview(data)
        while rest and not self.over:
            readable, writable, _ = select.select([STDIN], [STDOUT], [])
            if readable:
                self._from_browser()
            if writable:
                try:
                    rest = rest[os.write(STDOUT, rest[:4096]) :]  # as much as a pipe that is writable surely takes
                except BrokenPipeError:
                    self.over = True

    def _from_browser(self, *_event: object) -> None:
        data = os.read(STDIN, CHUNK)
        if not data:
            self.over = True
        try:
            while data and not self.over:
                taken = self._stream.send(data)
                if taken < 0:  # full for the moment
                    time.sleep(0.01)
                data = data[max(taken, 0) :]
        except libvirt.libvirtError:
            self.over = True


def _open(request: dict[str, Any]) -> "tuple[libvirt.virConnect, libvirt.virStream]":
    """The connection, which must be kept, and the console's stream.  Raises DriverError."""
    try:
        connection = libvirt.open(request["uri"])
        if not request["uri"].startswith("test:"):
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        domain = connection.lookupByUUIDString(request["uuid"])
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if request["force"] else 0)
    except libvirt.libvirtError as error:
        raise _explained(error, request["node"]) from None
    return connection, stream


def _explained(error: "libvirt.libvirtError", node: str) -> DriverError:
    text = error.get_error_message() or ""
    if "Active console session" in text:
        return Conflict(
            f"Another program on {node} has this console open",
            code="console-busy",
            advice="Close it there (virsh console), or take the console over.",
        )
    if "cannot find" in text and "device" in text:
        return NotSupported(f"{node}: {text}", code="no-console", advice="Add a serial console, then restart the VE.")
    return driver_error(error, node)


def main() -> None:
    """Read the request, open the console, pass bytes until one side ends."""
    request = json.loads(os.read(STDIN, CHUNK))
    signal.alarm(int(request["seconds"]) + 1)  # its default action ends the process, also inside a call that hangs
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    try:
        _connection, stream = _open(request)
    except DriverError as error:
        names = ("message", "code", "component", "retryable", "advice")
        answer = {"kind": type(error).__name__} | {name: getattr(error, name) for name in names}
        os.write(STDOUT, json.dumps(answer).encode() + b"\n")
        return
    signal.alarm(0)
    os.write(STDOUT, b"{}\n")
    pipe = _Pipe(stream)
    while not pipe.over:
        libvirt.virEventRunDefaultImpl()
    sys.stdout.flush()
    os._exit(0)  # closing the connection would wait for a node that may be gone; the kernel closes it


if __name__ == "__main__":
    main()
