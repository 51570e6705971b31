"""A HostDriver in memory, for faults and timings that no engine can be made to show; it passes the contract suite.

``FakeNode.fail`` scripts faults; ``AlwaysFailing`` answers nothing.  The nodes of a ``FakeCluster`` migrate among them.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import replace
from types import TracebackType
from typing import Self

from infrastructure.drivers.attaching import RbdPool
from infrastructure.drivers.base import Endpoint, Outcome, ShutdownMode, Subscription
from infrastructure.drivers.errors import (
    Conflict,
    DriverError,
    NotFound,
    NotSupported,
    Unreachable,
)
from infrastructure.drivers.facts import (
    Capability,
    Completed,
    ConsoleEndpoint,
    DomainEvent,
    GuestResult,
    MigrationProgress,
    NodeFacts,
    NodeSample,
    Screenshot,
    VEFacts,
    VEKind,
    VESample,
    VEState,
    VEStatus,
)
from infrastructure.drivers.fake_attaching import FakeAttaching
from infrastructure.drivers.fake_moves import FakeMoves

OnEvent = Callable[[DomainEvent], None]


class FakeCluster:
    """Nodes by address."""

    def __init__(self) -> None:
        self.nodes: dict[str, FakeNode] = {}

    def add(self, endpoint: Endpoint, facts: NodeFacts, *ves: VEFacts) -> "FakeNode":
        node = self.nodes[endpoint.address] = FakeNode(self, endpoint, facts, ves)
        return node


class _FakeSubscription:
    def __init__(self, node: "FakeNode", callback: OnEvent, on_close: Callable[[str], None] | None) -> None:
        self.callback = callback
        self.on_close = on_close
        self._node = node

    def close(self) -> None:
        if self in self._node.subscriptions:
            self._node.subscriptions.remove(self)


class FakeNode(FakeMoves, FakeAttaching):
    """One node.  Every call is recorded in ``calls`` and first meets the faults scripted for it."""

    def __init__(self, cluster: FakeCluster, endpoint: Endpoint, facts: NodeFacts, ves: Collection[VEFacts]) -> None:
        self._cluster = cluster
        self._endpoint = endpoint
        self._facts = facts
        self.ves_by_uuid = {ve.uuid: ve for ve in ves}
        self.files: dict[str, bytes] = {}
        self.certificate = b""
        self.keys: dict[str, bytes] = {}
        self.pools: dict[str, RbdPool] = {}
        self.calls: list[str] = []
        self.commands: list[tuple[str, ...]] = []  # what `run` and `pipe_to` were given
        self.downtimes: dict[str, list[int]] = {}
        self.subscriptions: list[_FakeSubscription] = []
        self.jobs: dict[str, MigrationProgress] = {}
        self.finished: dict[str, MigrationProgress] = {}
        self._faults: defaultdict[str, deque[Exception | Callable[[], None]]] = defaultdict(deque)

    def fail(self, method: str, fault: Exception | Callable[[], None], *, times: int = 1) -> None:
        """The next ``times`` calls of ``method`` raise this, or run it first."""
        self._faults[method].extend([fault] * times)

    def lose_connection(self, reason: str = "eof") -> None:
        """Tell all subscribers that their connection has ended."""
        lost, self.subscriptions = self.subscriptions, []
        for subscription in lost:
            if subscription.on_close is not None:
                subscription.on_close(reason)

    def emit(self, ve: VEFacts, detail: str, reason: str = "", kind: str = "lifecycle") -> None:
        for subscription in tuple(self.subscriptions):
            subscription.callback(DomainEvent(ve.uuid, ve.name, ve.kind, kind, detail, reason))

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if self._faults[method]:
            fault = self._faults[method].popleft()
            if isinstance(fault, Exception):
                raise fault
            fault()

    def _find(self, method: str, uuid: str) -> VEFacts:
        self._enter(method)
        try:
            return self.ves_by_uuid[uuid]
        except KeyError:
            raise NotFound(
                f"{self._endpoint.name} has no Virtual Environment {uuid}", code="VIR_ERR_NO_DOMAIN"
            ) from None

    def _become(self, ve: VEFacts, state: VEState, reason: str, event: str) -> None:
        self.ves_by_uuid[ve.uuid] = replace(ve, state=state, reason=reason)
        self.emit(ve, event, reason)

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    def capabilities(self) -> frozenset[str]:
        self._enter("capabilities")
        return frozenset(Capability) - {Capability.VM_STATS, Capability.CT_STATS, Capability.NODE_STATS}

    def close(self) -> None:
        self.lose_connection("client")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def facts(self) -> NodeFacts:
        self._enter("facts")
        return self._facts

    def ves(self) -> tuple[VEFacts, ...]:
        self._enter("ves")
        return tuple(sorted(self.ves_by_uuid.values(), key=lambda ve: ve.name))

    def ve(self, uuid: str) -> VEFacts:
        return self._find("ve", uuid)

    def state(self, uuid: str) -> VEStatus:
        ve = self._find("state", uuid)
        return VEStatus(ve.state, ve.reason)

    def xml(self, uuid: str, *, inactive: bool = False) -> str:
        ve = self._find("xml", uuid)
        return f"<domain type='qemu'><name>{ve.name}</name><uuid>{ve.uuid}</uuid></domain>"

    def addresses(self, uuid: str) -> tuple[str, ...]:
        return self._find("addresses", uuid).addresses

    def stats(self) -> NodeSample:
        self._enter("stats")
        ves = tuple(VESample(ve.uuid, ve.name, ve.kind, ve.state, ve.reason) for ve in self.ves())
        return NodeSample(
            0.0, 0, 0, self._facts.cpu_threads, self._facts.memory_bytes, self._facts.memory_free, ves=ves
        )

    def start(self, uuid: str) -> Outcome:
        ve = self._find("start", uuid)
        if ve.state is not VEState.STOPPED:
            return Outcome.ALREADY
        self._become(ve, VEState.RUNNING, "booted", "started")
        return Outcome.DONE

    def shutdown(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        ve = self._find("shutdown", uuid)
        if ve.state is VEState.STOPPED:
            return Outcome.ALREADY
        self._require(ve, VEState.RUNNING)
        if mode is not ShutdownMode.AUTO and (mode is ShutdownMode.SIGNAL) != (ve.kind is VEKind.CT):
            raise NotSupported(f"{ve.name} cannot be asked by {mode.value}", code="shutdown-mode")
        self._become(ve, VEState.STOPPED, "shutdown", "stopped")
        return Outcome.REQUESTED

    def destroy(self, uuid: str) -> Outcome:
        ve = self._find("destroy", uuid)
        if ve.state is VEState.STOPPED:
            return Outcome.ALREADY
        self._become(ve, VEState.STOPPED, "destroyed", "stopped")
        return Outcome.DONE

    def reboot(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        ve = self._find("reboot", uuid)
        self._require(ve, VEState.RUNNING)
        self.emit(ve, "", kind="reboot")
        return Outcome.REQUESTED

    def suspend(self, uuid: str) -> Outcome:
        ve = self._find("suspend", uuid)
        if ve.state is VEState.PAUSED:
            return Outcome.ALREADY
        self._require(ve, VEState.RUNNING)
        self._become(ve, VEState.PAUSED, "user", "suspended")
        return Outcome.DONE

    def resume(self, uuid: str) -> Outcome:
        ve = self._find("resume", uuid)
        if ve.state is VEState.RUNNING:
            return Outcome.ALREADY
        self._require(ve, VEState.PAUSED)
        self._become(ve, VEState.RUNNING, "unpaused", "resumed")
        return Outcome.DONE

    def set_autostart(self, uuid: str, enabled: bool) -> Outcome:
        ve = self._find("set_autostart", uuid)
        self.ves_by_uuid[uuid] = replace(ve, autostart=enabled)
        return Outcome.ALREADY if ve.autostart == enabled else Outcome.DONE

    def _require(self, ve: VEFacts, *states: VEState) -> None:
        if ve.state not in states:
            raise Conflict(f"{ve.name} is {ve.state.value}", code="VIR_ERR_OPERATION_INVALID")

    def console(self, uuid: str) -> ConsoleEndpoint:
        ve = self._find("console", uuid)
        self._require(ve, VEState.RUNNING, VEState.PAUSED)
        return ConsoleEndpoint("vnc", socket=f"/run/{ve.name}.sock")

    def text_console(self, uuid: str) -> ConsoleEndpoint:
        ve = self._find("text_console", uuid)
        self._require(ve, VEState.RUNNING, VEState.PAUSED)
        return ConsoleEndpoint("console" if ve.kind is VEKind.CT else "serial")

    def screenshot(self, uuid: str) -> Screenshot:
        ve = self._find("screenshot", uuid)
        self._require(ve, VEState.RUNNING, VEState.PAUSED)
        return Screenshot(b"P6 1 1 255\n\0\0\0", "image/x-portable-pixmap")

    def agent_ping(self, uuid: str) -> bool:
        return self._find("agent_ping", uuid).agent_connected

    def guest_run(self, uuid: str, argv: Collection[str], *, deadline: float = 10.0) -> GuestResult:
        self._find("guest_run", uuid)
        return GuestResult(0, " ".join(argv).encode(), b"")

    def guest_read(self, uuid: str, path: str, *, limit: int = 1 << 20) -> bytes:
        self._find("guest_read", uuid)
        return self.files.get(path, b"")[:limit]

    def subscribe(self, callback: OnEvent, on_close: Callable[[str], None] | None = None) -> Subscription:
        self._enter("subscribe")
        subscription = _FakeSubscription(self, callback, on_close)
        self.subscriptions.append(subscription)
        return subscription

    def run(
        self, argv: Collection[str], *, input: bytes | None = None, deadline: float = 20.0, check: bool = True
    ) -> Completed:
        self._enter("run")
        self.commands.append(tuple(argv))
        return Completed(input or b"", b"", 0)

    def shown_certificate(self) -> bytes:
        self._enter("shown_certificate")
        return self.certificate

    def read_file(self, path: str, *, limit: int = 1 << 20) -> bytes:
        self._enter("read_file")
        if path not in self.files:
            raise NotFound(f"{self._endpoint.name}: {path} does not exist", code="no-file", component="host")
        return self.files[path][:limit]

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self._enter("write_file")
        self.files[path] = data


class AlwaysFailing(FakeNode):
    """A node on which every call fails with one error."""

    def __init__(self, endpoint: Endpoint, error: DriverError | None = None) -> None:
        super().__init__(FakeCluster(), endpoint, NodeFacts("", "", "", "", "", 0, 0, 0, 0), ())
        self.error = error or Unreachable(f"{endpoint.name} cannot be reached", code="no-route")

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        raise self.error
