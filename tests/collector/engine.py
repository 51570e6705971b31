"""A node whose faults and time a test controls: no real engine can be made to hang for exactly so long."""

from collections.abc import Collection
from dataclasses import replace

from infrastructure.drivers.base import DriverError, Endpoint, TimedOut, Unreachable, remaining
from infrastructure.drivers.facts import Completed, NodeFacts, NodeSample, VEFacts, VEKind, VESample, VEState
from infrastructure.drivers.fake import FakeCluster, FakeNode
from infrastructure.observe.messages import Message
from infrastructure.observe.node import NodeObserver
from infrastructure.observe.sampler import Recording
from tests.infrastructure.inventory_facts import node_facts, uuid_of


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Engine(FakeNode):
    """A fake node with counters that hangs, or fails every call, when told."""

    def __init__(self, clock: Clock, name: str, *ves: VEFacts) -> None:
        endpoint = Endpoint(name, f"{name}.lab", uuid=uuid_of(f"host {name}"))
        super().__init__(FakeCluster(), endpoint, node_facts(name), ves)
        self.clock = clock
        self.found_addresses: dict[str, tuple[str, ...]] = {}
        self.hangs = False
        self.error: DriverError | None = None
        self.cpu_ns = 0

    @property
    def node(self) -> NodeFacts:
        return self._facts

    @node.setter
    def node(self, facts: NodeFacts) -> None:
        self._facts = facts

    def event(self, name: str, detail: str = "started", *, kind: str = "lifecycle", reason: str = "booted") -> None:
        self.emit(VEFacts(uuid_of(name), name, VEKind.VM, VEState.UNKNOWN), detail, reason, kind)

    def _enter(self, method: str) -> None:
        super()._enter(method)
        if self.hangs:
            self.clock.now += remaining()
            raise TimedOut(f"libvirtd on {self.endpoint.name} did not answer within {remaining():g} s")
        if self.error is not None:
            raise self.error

    def capabilities(self) -> frozenset[str]:
        return self.node.capabilities

    def stats(self) -> NodeSample:
        self._enter("stats")
        self.cpu_ns += 500_000_000
        samples = tuple(
            VESample(ve.uuid, ve.name, ve.kind, ve.state, cpu_ns=self.cpu_ns, memory_used=100 << 20)
            for ve in self.ves_by_uuid.values()
        )
        return NodeSample(self.clock.now, self.cpu_ns, 9 * self.cpu_ns, 4, 8 << 30, 3 << 30, 0, 1 << 30, samples)

    def addresses(self, uuid: str) -> tuple[str, ...]:
        self._enter("addresses")
        return self.found_addresses.get(uuid, ())

    def run(
        self, argv: Collection[str], *, input: bytes | None = None, deadline: float = 20.0, check: bool = True
    ) -> Completed:
        self._enter("run")
        return Completed(b"5000.25 100.00\n1 (init (x) y) S " + b"0 " * 18 + b"100000 5 6\n", b"", 0)


class Observed:
    """An observer over an engine, with what it told and recorded."""

    def __init__(self, *ves: VEFacts) -> None:
        self.clock = Clock()
        self.engine = Engine(self.clock, "primary", *ves)
        self.told: list[Message] = []
        self.recorded: list[Recording] = []
        self.observer = NodeObserver(
            1, "primary", lambda: self.engine, self.told.append, self.recorded.append, clock=self.clock
        )
        # Addresses are asked in a thread otherwise; here at once.
        self.observer.finder.start_round = self._ask  # type: ignore[method-assign]
        self.observer.wiring.start_round = lambda driver, now: None  # type: ignore[method-assign]

    def _ask(self, driver: Engine, now: float) -> None:
        self.observer.finder.ask(driver, self.observer.finder.schedule.take(now))  # type: ignore[arg-type]

    def step(self) -> list[Message]:
        """One step; what it told."""
        before = len(self.told)
        self.observer.step()
        return self.told[before:]

    def pass_time(self, seconds: float) -> list[Message]:
        """Let time pass in steps of at most a second, as the thread and its supervisor would see it."""
        before, end = len(self.told), self.clock.now + seconds
        while self.clock.now < end:
            pause = self.observer.step()
            self.observer.contact.check()
            self.clock.now += max(0.01, min(1.0, pause, end - self.clock.now))
        return self.told[before:]

    def change(self, name: str, **columns: object) -> None:
        known = self.engine.ves_by_uuid
        known[uuid_of(name)] = replace(known[uuid_of(name)], **columns)  # type: ignore[arg-type]


def unreachable(text: str = "connection refused") -> Unreachable:
    return Unreachable(text)
