"""TargetServers in memory, for faults and timings that no engine can be made to show; they pass the contract suite.

``FakeServers()`` is a node with two addresses, prepared. Tests make faults by ``fail_next``, ``hang``, ``crash``,
``power_off`` and ``connect``, and read ``calls``, ``kept`` and ``secrets``.
"""

from infrastructure.drivers.errors import DriverError, NotFound, Unreachable
from iscsi.drivers import rules
from iscsi.drivers.facts import Account, CephAccess, LunSpec
from iscsi.drivers.fake_node import FakeNode, FakeTarget

GIB = 1 << 30


class FakeServers(FakeNode):
    """One node."""

    def __init__(self, *, prepared: bool = True) -> None:
        super().__init__()
        if prepared:
            self.access = CephAccess(("192.0.2.11:3300",), "mooring-iscsi", "a key")

    def make_target(self, number: int, iqn: str) -> bool:
        self._enter("make_target")
        rules.check_iqn(iqn)
        server = self._server(number)
        if server.target is None:
            server.target = FakeTarget(iqn)
            return True
        if server.target.iqn != iqn:
            raise rules.other_target(number, server.target.iqn)
        return False

    def remove_target(self, number: int) -> bool:
        self._enter("remove_target")
        server = self._server(number)
        if server.target is None:
            return False
        server.target.initiators = None
        server.target.sessions.clear()
        if server.target.busy:
            raise rules.busy_lun(min(server.target.busy))
        server.target = None
        return True

    def set_accounts(self, number: int, accounts: tuple[Account, ...], mutual: Account | None = None) -> bool:
        self._enter("set_accounts")
        rules.check_accounts(accounts, mutual)
        target = self._target(number)
        told = target.facts()
        wanted = {account.user: account.revision for account in accounts}
        if told.accounts == wanted and told.mutual == ((mutual.user, mutual.revision) if mutual else None):
            return False
        target.accounts, target.mutual = accounts, mutual
        return True

    def open(self, number: int, initiators: tuple[str, ...] = ()) -> bool:
        self._enter("open")
        for name in initiators:
            rules.check_initiator(name)
        target = self._target(number)
        if target.initiators is not None and set(target.initiators) == set(initiators):
            return False
        target.initiators = initiators
        return True

    def close_target(self, number: int) -> bool:
        self._enter("close_target")
        target = self._target(number)
        was, target.initiators = target.initiators, None
        return was is not None

    def add_lun(self, number: int, lun: LunSpec) -> bool:
        self._enter("add_lun")
        rules.check_lun(lun)
        target = self._target(number)
        there = target.luns.get(lun.number)
        if there is not None and there != lun:
            raise rules.other_lun(lun.number, f"{there.pool}/{there.image}")
        if there is not None:
            return False
        self._show(target, lun)
        return True

    def remove_lun(self, number: int, lun: int) -> bool:
        self._enter("remove_lun")
        rules.check_lun_number(lun)
        target = self._target(number)
        if lun in target.busy:
            raise rules.busy_lun(lun)
        target.sizes.pop(lun, None)
        return target.luns.pop(lun, None) is not None

    def reload_lun(self, number: int, lun: LunSpec) -> bool:
        self._enter("reload_lun")
        rules.check_lun(lun)
        target = self._target(number)
        if (there := target.luns.get(lun.number)) is None:
            raise rules.no_lun(lun.number)
        if (there.pool, there.image) != (lun.pool, lun.image):
            raise rules.other_lun(lun.number, f"{there.pool}/{there.image}")
        if lun.number in target.busy:
            raise rules.busy_lun(lun.number)
        self._show(target, lun)
        return True

    def end_sessions(self, number: int) -> int:
        self._enter("end_sessions")
        target = self._target(number)
        ended = len(target.sessions)
        target.sessions.clear()
        return ended

    def _show(self, target: FakeTarget, lun: LunSpec) -> None:
        images = self.images
        if images is not None and (lun.pool, lun.image) not in images:
            raise NotFound(f"There is no image {lun.pool}/{lun.image}", code="no-image", component="tgt")
        target.luns[lun.number] = lun
        target.sizes[lun.number] = GIB if images is None else images[lun.pool, lun.image]


class AlwaysFailing(FakeServers):
    """A node of which every call fails with one error."""

    def __init__(self, error: DriverError | None = None) -> None:
        super().__init__()
        self.error = error or Unreachable("The node cannot be reached", code="ssh-lost", component="ssh")

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        raise self.error
