"""What a hypervisor node can be asked, as small Protocols by concern.

Every call either returns or raises a DriverError within its deadline (10 s unless ``within`` says otherwise), whatever
state the node is in.  Calls are safe from any thread.  Nothing is opened at import.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from infrastructure.drivers.attaching import Attacher, RbdPool
from infrastructure.drivers.errors import (
    Aborted,
    Conflict,
    DomainXmlError,
    DriverError,
    IdentityChanged,
    NotFound,
    NotSupported,
    Refused,
    TimedOut,
    Unreachable,
)
from infrastructure.drivers.facts import (
    Capability,
    Completed,
    ConsoleEndpoint,
    CpuVerdict,
    DiskFacts,
    DomainEvent,
    GraphicsFacts,
    GuestResult,
    HostKey,
    MigrationProgress,
    NetworkFacts,
    NicFacts,
    NodeFacts,
    NodeSample,
    Screenshot,
    VEFacts,
    VEKind,
    VESample,
    VEState,
    VEStatus,
)
from infrastructure.drivers.moving import Migrator, Transfer

__all__ = [
    "DEFAULT_DEADLINE",
    "Aborted",
    "Attacher",
    "Capability",
    "Completed",
    "Conflict",
    "ConsoleEndpoint",
    "ConsoleSource",
    "CpuVerdict",
    "DiskFacts",
    "DomainEvent",
    "DomainXmlError",
    "DriverError",
    "Endpoint",
    "EventSource",
    "GraphicsFacts",
    "GuestAgent",
    "GuestResult",
    "HostDriver",
    "HostKey",
    "IdentityChanged",
    "Inventory",
    "MigrationProgress",
    "Migrator",
    "NetworkFacts",
    "NicFacts",
    "NodeFacts",
    "NodeSample",
    "NotFound",
    "NotSupported",
    "Outcome",
    "PowerControl",
    "RbdPool",
    "Refused",
    "Screenshot",
    "ShutdownMode",
    "Subscription",
    "TimedOut",
    "Transfer",
    "Unreachable",
    "VEFacts",
    "VEKind",
    "VESample",
    "VEState",
    "VEStatus",
    "remaining",
    "within",
]

DEFAULT_DEADLINE = 10.0
_limit: ContextVar[float | None] = ContextVar("driver_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give each driver call of this thread at most ``seconds``; used where a person waits (preflight: 3 s)."""
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def remaining(wanted: float | None = None) -> float:
    """The deadline in seconds for one call: what it wants, or the default, but never more than ``within`` allows."""
    limit = _limit.get()
    if wanted is None:
        return DEFAULT_DEADLINE if limit is None else limit
    return wanted if limit is None else min(wanted, limit)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a node is reached.  Hashable: the key of the connection pools.

    ``host_key`` is the pinned public key line ("ssh-ed25519 AAAA…"), "" before onboarding: then no SSH is opened.
    ``pki_dir`` holds the panel's cacert.pem, clientcert.pem, clientkey.pem; ``peer_pki_dir`` is where a *node* has the
    files of the same names that it uses towards other nodes.  ``uri`` replaces the built libvirt URI (tests only).
    """

    name: str
    address: str
    ssh_port: int = 22
    ssh_user: str = "root"
    host_key: str = field(default="", repr=False)
    uuid: str = ""
    ssh_key_path: str = ""
    pki_dir: str = ""
    tls_port: int = 16514
    peer_pki_dir: str = "/etc/pki/mooring"
    uri: str = ""


class Outcome(StrEnum):
    """What a power operation did."""

    DONE = "done"
    ALREADY = "already"  # the VE was in the wanted state before
    REQUESTED = "requested"  # the guest was asked; wait for its state to change
    SIGNALLED = "signalled"  # the same, past an engine that cannot ask it
    FOUND_ENDED = "found ended"  # it has ended, which the engine missed; now it knows


class ShutdownMode(StrEnum):
    AUTO = "auto"  # VM: agent if its channel is connected, else ACPI; CT: signal
    AGENT = "agent"
    ACPI = "acpi"
    SIGNAL = "signal"


class Inventory(Protocol):
    def facts(self) -> NodeFacts: ...

    def ves(self) -> tuple[VEFacts, ...]:
        """All VEs of the node, running or not, by name."""

    def ve(self, uuid: str) -> VEFacts:
        """One VE; NotFound when the node does not have it."""

    def state(self, uuid: str) -> VEStatus: ...

    def xml(self, uuid: str, *, inactive: bool = False) -> str:
        """The live domain XML, or the one of the next start."""

    def addresses(self, uuid: str) -> tuple[str, ...]:
        """IP addresses by guest agent, DHCP lease or ARP; () where none of them knows."""

    def stats(self) -> NodeSample:
        """Counters of the node and of all its VEs; also carries the state of each VE."""


class PowerControl(Protocol):
    """All are idempotent: they ask the engine first."""

    def start(self, uuid: str) -> Outcome: ...

    def shutdown(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        """Ask the guest to shut down; returns at once with REQUESTED."""

    def destroy(self, uuid: str) -> Outcome:
        """Force off: the guest loses what it has not written."""

    def reboot(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome: ...

    def suspend(self, uuid: str) -> Outcome: ...

    def resume(self, uuid: str) -> Outcome: ...

    def set_autostart(self, uuid: str, enabled: bool) -> Outcome: ...


class ConsoleSource(Protocol):
    def console(self, uuid: str) -> ConsoleEndpoint:
        """Where the display listens now, from the live XML.  Conflict when not running, NotSupported without VNC."""

    def text_console(self, uuid: str) -> ConsoleEndpoint:
        """That a running VE has a serial or container console.  Conflict when not running, NotSupported without one."""

    def screenshot(self, uuid: str) -> Screenshot: ...


class GuestAgent(Protocol):
    def agent_ping(self, uuid: str) -> bool:
        """Whether the guest agent answers within 2 s."""

    def guest_run(self, uuid: str, argv: Collection[str], *, deadline: float = 10.0) -> GuestResult:
        """Run a program inside the guest, argv[0] an absolute path."""

    def guest_read(self, uuid: str, path: str, *, limit: int = 1 << 20) -> bytes: ...


@runtime_checkable
class Subscription(Protocol):
    def close(self) -> None:
        """Stop delivering; never raises, never blocks on a dead node."""


class EventSource(Protocol):
    def subscribe(
        self, callback: Callable[[DomainEvent], None], on_close: Callable[[str], None] | None = None
    ) -> Subscription:
        """Deliver the events of all VEs until closed.

        Both callbacks run in libvirt's event thread, or in the thread that drops the connection: they must return at
        once and must not call a driver.  ``on_close(reason)`` is called once when a connection has ended ("error" and
        "eof": the node; "client": this process gave it up); the subscription is dead then, make a new one.
        """


class HostCommands(Protocol):
    def run(
        self,
        argv: Collection[str],
        *,
        input: bytes | None = None,
        deadline: float = 20.0,
        check: bool = True,
    ) -> Completed:
        """Run a command on the node over SSH; with ``check`` a non-zero exit raises DriverError(component="host")."""

    def read_file(self, path: str, *, limit: int = 1 << 20) -> bytes: ...

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Replace a file atomically."""


class Identity(Protocol):
    def shown_certificate(self) -> bytes:
        """The certificate (DER) that libvirtd shows to a new TLS connection, which it must accept as well."""


@runtime_checkable
class HostDriver(
    Inventory,
    PowerControl,
    Migrator,
    Transfer,
    Attacher,
    ConsoleSource,
    GuestAgent,
    EventSource,
    HostCommands,
    Identity,
    Protocol,
):
    """Everything of one node.  Ask ``capabilities()`` instead of catching NotSupported."""

    @property
    def endpoint(self) -> Endpoint: ...

    def capabilities(self) -> frozenset[str]: ...

    def close(self) -> None:
        """Drop the connections; never raises, never blocks on a dead node."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
