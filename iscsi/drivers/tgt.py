"""TargetServers on a real node: tgt, kept by the panel's script, asked over SSH."""

from contextlib import suppress

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import DriverError, NotFound
from infrastructure.drivers.registry import driver_for, ssh
from iscsi.drivers import ceph_files, rules
from iscsi.drivers.facts import CephAccess
from iscsi.drivers.node_addresses import NodeAddresses
from iscsi.drivers.tgt_keeper import TgtKeeper
from iscsi.drivers.tgt_target import TgtTargets
from iscsi.drivers.tgt_wire import Wire


class TgtServers(TgtKeeper, TgtTargets, NodeAddresses):
    """One node. Nothing is opened before the first call; safe from any thread; see iscsi.drivers.base."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._host = driver_for(endpoint)
        self._wire = Wire(ssh, endpoint)
        self._name = endpoint.name
        self._known_user = ""

    def _user(self) -> str:
        if not self._known_user:
            try:
                self._known_user = ceph_files.user_of(self._host.read_file(ceph_files.CONF))
            except NotFound:
                raise rules.not_prepared(self._name) from None
        return self._known_user

    def prepare(self, access: CephAccess) -> bool:
        changed = super().prepare(access)
        self._known_user = access.user
        return changed

    def stop(self, number: int) -> bool:
        """Its images are let go of first, where that is possible: else Ceph takes them for used half a minute more."""
        with suppress(DriverError):
            self.remove_target(number)
        return super().stop(number)

    def close(self) -> None:
        return
