"""A handle of our own on the TCP connection that libvirt has opened.

libvirt's keepalive is not used: libvirt 9.0 (Debian 12's) corrupts its memory when a second thread, that
of the keepalive timer included, wakes a call that waits ("rpc: ensure temporary GSource is removed from client event
loop").  The kernel's keepalive finds a dead node instead, and cutting the connection ends a call that waits for a stuck
daemon, in the thread that waits.
"""

import contextlib
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from infrastructure.drivers.errors import TimedOut

T = TypeVar("T")
# A node that is gone is noticed after 3 + 2 x 3 s; unacknowledged data after 9 s.
_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 3, 2, 3
_USER_TIMEOUT_MS = 9000


class Line:
    """The connection's socket, shared with libvirt."""

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL_SECONDS)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)

    def cut(self) -> None:
        """End the connection under libvirt: whatever call waits on it fails at once."""
        with contextlib.suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)
        self._handle.close()


class _Gate:
    """Lets one connection at a time be opened to a peer: two new sockets could be taken for each other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.before: frozenset[str] = frozenset()


_gates: defaultdict[tuple[str, int], _Gate] = defaultdict(_Gate)


def opening(peer: tuple[str, int], connect: Callable[[], T], seconds: float) -> tuple[T, Line | None]:
    """Run ``connect``, which opens a TCP connection to ``peer``, and find that connection's socket.

    None for the line when it cannot be told which socket it is; then only libvirt itself can end a call.
    TimedOut when an earlier connect still hangs after ``seconds``; it is cut then.
    """
    gate = _gates[peer]
    if not gate.lock.acquire(timeout=seconds):
        for line in _lines(gate.before, peer):
            line.cut()
        raise TimedOut(f"{peer[0]} did not finish an earlier connection within {seconds:g} s", code="connect-stuck")
    try:
        gate.before = frozenset(_sockets().values())
        result = connect()
        return result, next(_lines(gate.before, peer), None)
    finally:
        gate.lock.release()


def _lines(before: frozenset[str], peer: tuple[str, int]) -> Iterator[Line]:
    for number, inode in _sockets().items():
        handle = _socket_to(number, peer) if inode not in before else None
        if handle is not None:
            yield Line(handle)


def _sockets() -> dict[int, str]:
    """This process's sockets: descriptor → "socket:[inode]"; descriptors are reused, inodes are not."""
    found: dict[int, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            target = str(entry.readlink())
            if target.startswith("socket:"):
                found[int(entry.name)] = target
    return found


def _socket_to(number: int, peer: tuple[str, int]) -> socket.socket | None:
    try:
        handle = socket.socket(fileno=os.dup(number))
    except OSError:
        return None  # closed meanwhile, by whoever opened it
    with contextlib.suppress(OSError):
        if handle.type == socket.SOCK_STREAM and handle.getpeername()[:2] == peer:
            return handle
    handle.close()
    return None
