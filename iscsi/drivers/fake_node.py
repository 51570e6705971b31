"""Servers and addresses of a node in memory."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from infrastructure.drivers.base import remaining
from infrastructure.drivers.errors import Conflict, DriverError, NotFound, TimedOut, Unreachable
from iscsi.drivers import rules
from iscsi.drivers.facts import (
    Account,
    AddressFacts,
    CephAccess,
    LunFacts,
    LunSpec,
    NodeServers,
    ServerFacts,
    ServerSpec,
    SessionFacts,
    TargetFacts,
)

LOOKING_SECONDS = 4.0


@dataclass
class FakeTarget:
    """A target: `busy` are LUNs on which commands do not end, `sizes` what LUNs had when they were opened."""

    iqn: str
    luns: dict[int, LunSpec] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    mutual: Account | None = None
    initiators: tuple[str, ...] | None = None
    sessions: list[SessionFacts] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)

    def facts(self) -> TargetFacts:
        shown = sorted(self.luns.values(), key=lambda lun: lun.number)
        return TargetFacts(
            self.iqn,
            ready=True,
            luns=tuple(LunFacts(lun.number, lun.pool, lun.image, lun.serial, self.sizes[lun.number]) for lun in shown),
            accounts={account.user: account.revision for account in self.accounts},
            mutual=(self.mutual.user, self.mutual.revision) if self.mutual else None,
            initiators=self.initiators,
            sessions=tuple(self.sessions),
        )


@dataclass
class FakeServer:
    """A kept server. ``waits``: it was not started again after a crash. ``mute``: it runs and answers nothing."""

    spec: ServerSpec
    instance: int
    starts: int = 1
    running: bool = True
    mute: bool = False
    target: FakeTarget | None = None


class FakeNode:
    """Servers and addresses of a node, and the faults scripted for its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.kept: dict[int, FakeServer] = {}
        self.access: CephAccess | None = None
        self.installed = True  # tgt and its store
        self.restarts = True  # what keeps servers running works
        self.images: dict[tuple[str, str], int] | None = None  # (pool, image) → size; None: every image is there
        self.known = [AddressFacts("192.0.2.11", 24, "br0"), AddressFacts("198.51.100.11", 24, "eth1")]
        self.added: set[str] = set()
        self.foreign: set[str] = set()  # addresses of other machines
        self.closed = False
        self._instances = 0
        self._faults: defaultdict[str, deque[DriverError | threading.Event]] = defaultdict(deque)

    # Making it what a test needs

    def fail_next(self, method: str, error: DriverError, *, times: int = 1) -> None:
        """The next calls of the method raise this and do nothing."""
        self._faults[method].extend([error] * times)

    def hang(self, method: str) -> threading.Event:
        """The next call of the method waits until the event is set, and is TimedOut at its deadline."""
        gate = threading.Event()
        self._faults[method].append(gate)
        return gate

    def crash(self, number: int) -> None:
        """A server dies and, where ``restarts``, comes back with nothing."""
        server = self.kept[number]
        server.target, server.running = None, self.restarts
        if self.restarts:
            server.instance, server.starts = self._next(), server.starts + 1

    def power_off(self) -> None:
        """The node forgets its servers and the addresses that were added."""
        self.kept.clear()
        self.known = [each for each in self.known if each.address not in self.added]
        self.added.clear()

    def connect(
        self, number: int, initiator: str, address: str = "192.0.2.200", *, user: str = "", password: str = ""
    ) -> SessionFacts:
        """An initiator logs in; Conflict when the target does not let it."""
        target = self._target(number)
        if target.initiators is None or (target.initiators and initiator not in target.initiators):
            raise Conflict(f"{initiator} is not let in", component="tgt")
        if target.accounts and (user, password) not in {(each.user, each.secret) for each in target.accounts}:
            raise Conflict(f"{initiator} does not prove itself", component="tgt")
        session = SessionFacts(1 + max((each.id for each in target.sessions), default=0), initiator, address)
        target.sessions.append(session)
        return session

    def secrets(self, number: int) -> dict[str, str]:
        """What a server asks for: user → password."""
        return {account.user: account.secret for account in self._target(number).accounts}

    def _next(self) -> int:
        self._instances += 1
        return self._instances

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if not self._faults[method]:
            return
        fault = self._faults[method].popleft()
        if isinstance(fault, DriverError):
            raise fault
        seconds = remaining(LOOKING_SECONDS)
        if not fault.wait(seconds):
            raise TimedOut(f"The target server did not answer within {seconds:g} s", code="deadline", component="tgt")

    def _server(self, number: int) -> FakeServer:
        if (server := self.kept.get(number)) is None:
            raise rules.no_server(number)
        if not server.running:
            raise Unreachable(f"Target server {number} does not run", code="not-running", component="tgt")
        if server.mute:
            raise TimedOut(f"Target server {number} does not answer", code="deadline", component="tgt")
        return server

    def _target(self, number: int) -> FakeTarget:
        if (target := self._server(number).target) is None:
            raise rules.no_target(number)
        return target

    # ServerKeeper

    def prepare(self, access: CephAccess) -> bool:
        self._enter("prepare")
        if not self.installed:
            raise NotFound("tgt is not installed", code="no-tgt", component="host", advice="Install tgt and tgt-rbd.")
        changed, self.access = self.access != access, access
        return changed

    def forget(self) -> bool:
        self._enter("forget")
        if self.kept:
            raise Conflict("Target servers are kept there", code="in-use", component="host")
        there, self.access = self.access is not None, None
        return there

    def start(self, spec: ServerSpec) -> bool:
        self._enter("start")
        rules.check_server(spec)
        if self.access is None:
            raise rules.not_prepared("The node")
        for portal in spec.portals:
            if portal not in {each.address for each in self.known}:
                raise rules.missing_address(portal)
            if any(portal in other.spec.portals for other in self.kept.values() if other.spec.number != spec.number):
                raise Conflict(f"Another server has {portal}", code="address-used", component="tgt")
        there = self.kept.get(spec.number)
        if there is None:
            self.kept[spec.number] = FakeServer(spec, self._next())
            return True
        changed = not there.running or set(there.spec.portals) != set(spec.portals)
        if not there.running:
            there.running, there.instance, there.starts = True, self._next(), there.starts + 1
        there.spec = spec
        return changed

    def stop(self, number: int) -> bool:
        self._enter("stop")
        rules.check_number(number)
        return self.kept.pop(number, None) is not None

    def servers(self) -> NodeServers:
        self._enter("servers")
        return NodeServers(tuple(self._facts(number) for number in sorted(self.kept)), datetime.now(UTC))

    def look(self, number: int) -> ServerFacts:
        self._enter("look")
        if number not in self.kept:
            raise rules.no_server(number)
        return self._facts(number)

    def _facts(self, number: int) -> ServerFacts:
        server = self.kept[number]
        if not server.running:
            return ServerFacts(number, running=False, starts=server.starts, waiting="It does not start")
        facts = ServerFacts(number, True, str(server.instance), server.spec.portals, server.starts)
        try:
            target = self._server(number).target
        except DriverError as error:
            return replace(facts, error=error)
        return replace(facts, target=target.facts() if target else None)

    # AddressKeeper

    def addresses(self) -> tuple[AddressFacts, ...]:
        self._enter("addresses")
        return tuple(self.known)

    def add_address(self, address: str, prefix: int, interface: str) -> bool:
        self._enter("add_address")
        there = next((each for each in self.known if each.address == address), None)
        if there is not None and there.interface == interface:
            return False
        if there is not None or address in self.foreign:
            raise Conflict(f"{address} is used already", code="address-used", component="host")
        self.known.append(AddressFacts(address, prefix, interface))
        self.added.add(address)
        return True

    def remove_address(self, address: str, prefix: int, interface: str) -> bool:
        self._enter("remove_address")
        there = [each for each in self.known if (each.address, each.interface) == (address, interface)]
        self.known = [each for each in self.known if each not in there]
        return bool(there)

    def is_answered(self, address: str, interface: str) -> bool:
        self._enter("is_answered")
        if interface not in {each.interface for each in self.known}:
            raise DriverError(f"{interface} is no interface of this node", code="no-arping", component="host")
        return address in self.foreign

    def close(self) -> None:
        self.closed = True
