"""One connection to one libvirt driver of one node: opened when needed, used by one worker thread at a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import libvirt

from infrastructure.drivers import deadlines
from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import DriverError, TimedOut, Unreachable
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_codes import CLOSE_REASONS, pick
from infrastructure.drivers.libvirt_errors import alive, optional, translating
from infrastructure.drivers.libvirt_loop import ensure_event_loop
from infrastructure.drivers.libvirt_socket import Line, opening
from infrastructure.drivers.tls_probe import probe
from infrastructure.drivers.uris import connection_uri

T = TypeVar("T")
PROBE_SECONDS = 4.0


class Registration:
    """Something registered on a connection until that is closed: ``undo`` runs then, ``lost(reason)`` before."""

    def __init__(self, undo: Callable[[], None], lost: Callable[[str], None]) -> None:
        self.undo = undo
        self._lost: Callable[[str], None] | None = lost
        self._lock = threading.Lock()

    def tell(self, reason: str) -> None:
        """Say once that the connection has ended."""
        with self._lock:
            lost, self._lost = self._lost, None
        if lost is not None:
            lost(reason)


class _Slot:
    """One connection from its opening to its end.  A drop replaces the slot: what is stuck in it blocks nobody else."""

    def __init__(self) -> None:
        self.busy = threading.Lock()  # held by the call under way; see libvirt_socket why there is never a second
        self.dropped = False
        self.connection: libvirt.virConnect | None = None
        self.line: Line | None = None
        self.registrations: list[Registration] = []
        self._mutex = threading.Lock()

    def tell(self, reason: str) -> None:
        for registration in tuple(self.registrations):
            registration.tell(reason)

    def release(self) -> None:
        """End of a call, in its worker thread."""
        with self._mutex:
            if not self.dropped:
                self.busy.release()
                return
        self.discard()

    def drop(self) -> bool:
        """Never to be used again.  True for the first caller if no call is under way: it must see to ``discard``."""
        with self._mutex:
            if self.dropped:
                return False
            self.dropped = True
            return self.busy.acquire(blocking=False)

    def discard(self) -> None:
        """Close what is open; ``busy`` is held."""
        self.tell("client")
        self.cut()
        connection, self.connection = self.connection, None
        registrations, self.registrations = self.registrations, []
        for registration in registrations:
            _quietly(registration.undo)
        if connection is not None:
            _quietly(connection.unregisterCloseCallback)
            _quietly(connection.close)

    def cut(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.cut()


class Connection:
    """See ``call``.  Thread-safe: calls wait for each other."""

    def __init__(self, endpoint: Endpoint, kind: VEKind) -> None:
        self.endpoint = endpoint
        self.kind = kind
        self._slot = _Slot()
        self._swap = threading.Lock()

    @property
    def idle(self) -> bool:
        return not self._slot.busy.locked()

    def call(self, fn: "Callable[[libvirt.virConnect], T]", *, seconds: float, doing: str) -> T:
        """Run ``fn(connection)`` on a worker thread and return its result.

        ``fn`` must not return libvirt objects that outlive it.  Raises DriverError; TimedOut after ``seconds``, and
        then the connection is given up, not used again.
        """
        end = time.monotonic() + seconds
        slot = self._take(seconds, doing)
        try:
            return self._submit(slot, fn, seconds).wait(max(0.0, end - time.monotonic()))
        except deadlines.Overrun:
            self._drop(slot)
            raise self._timed_out(seconds, doing) from None
        except DriverError as error:
            if isinstance(error, Unreachable) and not self._usable(slot):
                self._drop(slot)
            # The worker's frames hold libvirt objects; see translating().
            raise error.with_traceback(None) from error.__cause__

    def begin(self, fn: "Callable[[libvirt.virConnect], T]", *, seconds: float, doing: str) -> deadlines.Job[T]:
        """Run ``fn(connection)`` on a worker thread without a deadline; until it ends the connection is busy."""
        return self._submit(self._take(seconds, doing), fn, seconds)

    def register(
        self,
        fn: "Callable[[libvirt.virConnect], Callable[[], None]]",
        lost: Callable[[str], None],
        *,
        seconds: float,
        doing: str,
    ) -> Registration:
        """Register something on the open connection.

        ``fn`` does it and returns what undoes it.  ``lost(reason)`` may run in libvirt's event thread.
        """

        def run(connection: "libvirt.virConnect") -> Registration:
            registration = Registration(fn(connection), lost)
            slot = self._slot
            if slot.connection is not connection:  # dropped meanwhile
                raise Unreachable(f"The connection to {self.endpoint.name} was dropped", code="dropped")
            slot.registrations.append(registration)
            return registration

        return self.call(run, seconds=seconds, doing=doing)

    def drop(self) -> None:
        """Give the connection up; the next call opens a new one.  Does not wait for the node."""
        self._drop(self._slot)

    def _take(self, seconds: float, doing: str) -> _Slot:
        end = time.monotonic() + seconds
        while True:
            slot = self._slot
            # In short turns, because a slot that was dropped while it was busy is never released.
            if slot.busy.acquire(timeout=min(0.5, max(0.0, end - time.monotonic()))):
                if not slot.dropped:
                    return slot
                slot.busy.release()
            elif time.monotonic() >= end:
                raise self._timed_out(seconds, doing)

    def _submit(self, slot: _Slot, fn: "Callable[[libvirt.virConnect], T]", seconds: float) -> deadlines.Job[T]:
        def work() -> T:
            try:
                connection = self._connected(slot, seconds)
                with translating(self.endpoint.name, connection):
                    return fn(connection)
            finally:
                slot.release()

        return deadlines.workers.submit(work)

    def _connected(self, slot: _Slot, seconds: float) -> "libvirt.virConnect":
        if slot.connection is not None and not alive(slot.connection):
            slot.discard()
        if slot.connection is None:
            slot.connection, slot.line = open_connection(self.endpoint, self.kind, seconds)
            with translating(self.endpoint.name, slot.connection), optional():
                slot.connection.registerCloseCallback(
                    lambda _connection, reason, _opaque: slot.tell(pick(CLOSE_REASONS, reason)), None
                )
        return slot.connection

    def _usable(self, slot: _Slot) -> bool:
        connection = slot.connection
        return connection is not None and alive(connection)

    def _drop(self, slot: _Slot) -> None:
        with self._swap:
            if self._slot is slot:
                self._slot = _Slot()
        free = slot.drop()
        slot.tell("client")
        if free:
            deadlines.workers.submit(slot.discard)
        else:
            slot.cut()  # the call that is stuck in it fails now, and its thread closes the rest

    def _timed_out(self, seconds: float, doing: str) -> TimedOut:
        return TimedOut(
            f"libvirtd on {self.endpoint.name} did not {doing} within {seconds:g} s",
            code="deadline",
            advice="Check that libvirtd on the node is not stuck; the connection was dropped.",
        )


def open_connection(endpoint: Endpoint, kind: VEKind, seconds: float) -> "tuple[libvirt.virConnect, Line | None]":
    """A new connection and its socket.  Blocks: for worker threads only.  Raises DriverError."""
    ensure_event_loop()
    uri = connection_uri(endpoint, kind)
    if endpoint.uri:
        with translating(endpoint.name):
            return libvirt.open(uri), None
    peer = probe(endpoint, min(seconds, PROBE_SECONDS))
    with translating(endpoint.name):
        return opening(peer, lambda: libvirt.open(uri), seconds)


def _quietly(fn: Callable[[], object]) -> None:
    try:
        fn()
    except libvirt.libvirtError:
        return  # the link is gone, and with it what was registered on it
