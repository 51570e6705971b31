"""libvirt's events of one connection as DomainEvent, for any number of listeners.

libvirt refuses to register one event twice on a connection, so it is done once, at the first listener, and kept as long
as the connection.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from infrastructure.drivers.errors import Unreachable
from infrastructure.drivers.facts import DomainEvent
from infrastructure.drivers.libvirt_codes import IO_ERROR_ACTIONS, WATCHDOG_ACTIONS, lifecycle_of, pick
from infrastructure.drivers.libvirt_connection import Registration
from infrastructure.drivers.libvirt_errors import CONNECTION_LOST, optional
from infrastructure.drivers.libvirt_jobs import progress_of
from infrastructure.drivers.libvirt_link import Link

OnEvent = Callable[[DomainEvent], None]
OnLost = Callable[[str], None]
_Fields = dict[str, Any]


@dataclass(eq=False, slots=True)
class Listener:
    """``event`` and ``lost`` run in libvirt's event thread, or in the thread that drops the connection."""

    event: OnEvent
    lost: OnLost


class Hub:
    """The listeners of one connection.  Thread-safe."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._listeners: tuple[Listener, ...] = ()
        self._registration: Registration | None = None
        self._registering = threading.Lock()  # held while the node is asked
        self._lock = threading.Lock()  # held for a moment only: the event thread takes it

    def add(self, event: OnEvent, lost: OnLost) -> Listener:
        """Listen from now on.  ``lost(reason)`` ends it.  Raises DriverError when the node cannot be asked."""
        listener = Listener(event, lost)
        with self._registering:
            if self._registration is None:
                self._registration = self._link.register(self._register, self._lost, doing="deliver events")
        with self._lock:
            if self._registration is not None:
                self._listeners = (*self._listeners, listener)
                return listener
        raise Unreachable(f"The connection to {self._link.endpoint.name} was lost", code=CONNECTION_LOST)

    def remove(self, listener: Listener) -> None:
        """Stop listening; no event is delivered to it afterwards but one under way."""
        with self._lock:
            self._listeners = tuple(item for item in self._listeners if item is not listener)

    def _register(self, connection: "libvirt.virConnect") -> Callable[[], None]:
        numbers: list[int] = []
        for event, fields in _EVENTS.items():
            # A driver rejects the events that it never sends; all of them send lifecycle.
            with optional():
                numbers.append(connection.domainEventRegisterAny(None, event, self._handler(fields), None))

        def undo() -> None:
            for number in numbers:
                connection.domainEventDeregisterAny(number)

        return undo

    def _handler(self, fields: "Callable[..., _Fields]") -> "Callable[..., None]":
        def handle(_connection: "libvirt.virConnect", domain: "libvirt.virDomain", *rest: Any) -> None:
            *values, _opaque = rest
            event = DomainEvent(
                uuid=domain.UUIDString(), name=domain.name(), ve_kind=self._link.kind, **fields(*values)
            )
            for listener in self._listeners:
                listener.event(event)

        return handle

    def _lost(self, reason: str) -> None:
        with self._lock:
            self._registration = None
            listeners, self._listeners = self._listeners, ()
        for listener in listeners:
            listener.lost(reason)


def _lifecycle(event: int, detail: int) -> _Fields:
    name, reason = lifecycle_of(event, detail)
    return {"kind": "lifecycle", "detail": name, "reason": reason, "code": event}


def _io_error(path: str, alias: str, action: int, reason: str) -> _Fields:
    where = path or alias
    return {"kind": "io-error", "detail": where, "reason": reason or pick(IO_ERROR_ACTIONS, action), "code": action}


def _agent(state: int, reason: int) -> _Fields:
    names = ("", "connected", "disconnected")
    return {"kind": "agent", "detail": pick(names, state), "reason": str(reason), "code": state}


def _tray(alias: str, reason: int) -> _Fields:
    return {"kind": "tray", "detail": alias, "reason": pick(("open", "close"), reason), "code": reason}


_EVENTS: "dict[int, Callable[..., _Fields]]" = {
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: _lifecycle,
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: lambda: {"kind": "reboot"},
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: _io_error,
    libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG: lambda action: {
        "kind": "watchdog",
        "detail": pick(WATCHDOG_ACTIONS, action),
        "code": action,
    },
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE: _tray,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: lambda alias: {"kind": "device", "detail": alias, "reason": "added"},
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: lambda alias: {"kind": "device", "detail": alias, "reason": "removed"},
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: _agent,
    libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION: lambda iteration: {
        "kind": "migration-iteration",
        "detail": str(iteration),
        "code": iteration,
    },
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED: lambda stats: {
        "kind": "job-completed",
        "progress": progress_of(stats, final=True),
    },
}
