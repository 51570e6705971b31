"""One connection to one libvirt driver of one node: opened when needed, used from worker threads under a deadline."""

import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt

from infrastructure.drivers import deadlines
from infrastructure.drivers.base import Endpoint, remaining
from infrastructure.drivers.errors import TimedOut, Unreachable
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_errors import alive, translating
from infrastructure.drivers.libvirt_loop import ensure_event_loop
from infrastructure.drivers.tls_probe import probe
from infrastructure.drivers.uris import connection_uri

T = TypeVar("T")
# libvirt closes after interval x (count + 1) seconds of silence: 9 s.
KEEPALIVE_SECONDS = 3
KEEPALIVE_COUNT = 2
PROBE_SECONDS = 4.0


class _Slot:
    """One attempt at being connected.  Dropping a connection replaces its slot, so a stuck opener blocks nobody else."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: libvirt.virConnect | None = None
        self.dropped = False


class Connection:
    """See ``call``.  Thread-safe."""

    def __init__(self, endpoint: Endpoint, kind: VEKind) -> None:
        self.endpoint = endpoint
        self.kind = kind
        self._slot = _Slot()
        self._swap = threading.Lock()

    def call(
        self,
        fn: "Callable[[libvirt.virConnect], T]",
        *,
        deadline: float | None = None,
        doing: str = "answer",
    ) -> T:
        """Run ``fn(connection)`` on a worker thread and return its result.

        ``fn`` must not return libvirt objects that outlive it.  Raises DriverError; TimedOut after ``deadline``
        seconds (default: see ``base.remaining``), and then the connection is given up, not used again.
        """
        seconds = remaining(deadline)
        slot = self._slot
        try:
            return deadlines.workers.call(lambda: self._run(slot, fn, seconds), seconds)
        except deadlines.Overrun:
            self._drop(slot)
            raise TimedOut(
                f"libvirtd on {self.endpoint.name} did not {doing} within {seconds:g} s",
                code="deadline",
                advice="Check that libvirtd on the node is not stuck; the connection was dropped.",
            ) from None
        except Unreachable as error:
            if error.component == "libvirt" and not self._usable(slot):
                self._drop(slot)
            raise

    def drop(self) -> None:
        """Give the connection up; the next call opens a new one.  Does not wait for the node."""
        self._drop(self._slot)

    def _run(self, slot: _Slot, fn: "Callable[[libvirt.virConnect], T]", seconds: float) -> T:
        connection = self._connected(slot, seconds)
        with translating(self.endpoint.name, connection):
            return fn(connection)

    def _connected(self, slot: _Slot, seconds: float) -> "libvirt.virConnect":
        with slot.lock:
            if slot.connection is not None and not alive(slot.connection):
                slot.connection = None
            if slot.connection is None:
                if slot.dropped:
                    raise Unreachable(f"The connection to {self.endpoint.name} was dropped", code="dropped")
                slot.connection = open_connection(self.endpoint, self.kind, seconds)
            return slot.connection

    def _usable(self, slot: _Slot) -> bool:
        connection = slot.connection
        return connection is not None and alive(connection)

    def _drop(self, slot: _Slot) -> None:
        with self._swap:
            if self._slot is slot:
                self._slot = _Slot()
        slot.dropped = True
        deadlines.workers.submit(lambda: _discard(slot))


def _discard(slot: _Slot) -> None:
    """Close on a worker thread: closing says goodbye to the node, which may be stuck."""
    with slot.lock:
        connection, slot.connection = slot.connection, None
    close_quietly(connection)


def close_quietly(connection: "libvirt.virConnect | None") -> None:
    """Close a connection whose state does not matter any more."""
    if connection is None:
        return
    try:
        connection.close()
    except libvirt.libvirtError:
        return


def open_connection(endpoint: Endpoint, kind: VEKind, seconds: float) -> "libvirt.virConnect":
    """A new connection with keepalive.  Blocks: for worker threads only.  Raises DriverError."""
    ensure_event_loop()
    uri = connection_uri(endpoint, kind)
    if not endpoint.uri:
        probe(endpoint, min(seconds, PROBE_SECONDS))
    with translating(endpoint.name):
        connection = libvirt.open(uri)
        if not endpoint.uri:
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
    return connection
