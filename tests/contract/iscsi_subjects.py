"""The target servers that the contract suite runs on, and what is done to them past the driver."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import pytest

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import Conflict, DriverError, NotFound
from iscsi.drivers import registry
from iscsi.drivers.base import TargetServers
from iscsi.drivers.facts import CephAccess, ServerFacts
from iscsi.drivers.fake import FakeServers
from storage.drivers.base import StorageCluster
from storage.services.ceph_admin import ISCSI_CAPABILITIES
from tests.e2e.lab import Lab
from tests.lab import ceph
from tests.lab.initiator import Initiator, NotLetIn
from tests.waiting import eventually

NUMBERS = (1, 2)
POOL, RULE = "mooring-contract-lun", "mooring-contract-rule"
MARKS = {"mooring": "lun"}
NODE, PEER = "primary", "secondnode1"
IQN = "iqn.2014-06.com.vstorage:contract"
MIB = 1 << 20


class Subject(Protocol):
    """A node under test."""

    servers: TargetServers
    portal: str  # an address that it has
    free: str  # one that nobody has
    taken: str  # one that another machine has
    prefix: int
    interface: str

    def make_image(self, name: str, size: int) -> None: ...

    def crash(self, number: int) -> None:
        """Kill a server, and wait until it runs again."""

    def seen(
        self, number: int, *, initiator: str = "iqn.2001.com.example:a", user: str = "", password: str = ""
    ) -> dict[str, set[int]]:
        """What this initiator finds: target → its LUNs. NotLetIn when it is refused."""

    def remove_image(self, name: str) -> None:
        """At once; an error when somebody has it open."""


def facts(servers: TargetServers, number: int = 1) -> ServerFacts:
    found = servers.look(number)
    assert found.error is None, found.error
    return found


class FakeSubject:
    portal, free, taken, prefix, interface = "192.0.2.11", "192.0.2.77", "192.0.2.12", 24, "br0"

    def __init__(self) -> None:
        self._fake = FakeServers()
        self._fake.images = {}
        self._fake.foreign.add(self.taken)
        self.servers: TargetServers = self._fake

    def make_image(self, name: str, size: int) -> None:
        assert self._fake.images is not None
        self._fake.images[POOL, name] = size

    def crash(self, number: int) -> None:
        self._fake.crash(number)

    def seen(
        self, number: int, *, initiator: str = "iqn.2001.com.example:a", user: str = "", password: str = ""
    ) -> dict[str, set[int]]:
        try:
            self._fake.connect(number, initiator, user=user, password=password)
        except Conflict as error:
            raise NotLetIn(str(error)) from error
        told = facts(self.servers, number).target
        self._fake.end_sessions(number)
        return {told.iqn: {lun.number for lun in told.luns}} if told else {}

    def remove_image(self, name: str) -> None:
        assert self._fake.images is not None
        del self._fake.images[POOL, name]


class LabSubject:
    """A node of the lab, and another one as the initiator."""

    interface = "br0"

    def __init__(self, lab: Lab, cluster: StorageCluster, endpoint: Endpoint) -> None:
        self._lab = lab
        self._cluster = cluster
        self.servers = registry.servers_of(endpoint)
        self.portal = endpoint.address
        self.free = f"{endpoint.address.rpartition('.')[0]}.77"
        # "7: br0    inet 10.0.0.12/24 …"
        self.taken = lab.exec(PEER, "ip", "-o", "-4", "address", "show", "dev", "br0").split()[3].partition("/")[0]
        self._initiator = Initiator(lab, PEER)
        self._prepare()
        self.prefix = next(each.prefix for each in self.servers.addresses() if each.address == self.portal)

    def _prepare(self) -> None:
        self._cluster.make_rule(RULE, device_class="tier1", domain="host")
        self._cluster.make_replicated_pool(POOL, size=2, rule=RULE, application="rbd", marks=MARKS)
        words = [word for pair in ISCSI_CAPABILITIES for word in pair]
        key = ceph.ceph(self._lab, "auth", "get-or-create-key", "client.mooring-iscsi", *words).strip()
        monitors = ceph.access(self._lab).monitors
        self.servers.prepare(CephAccess(monitors, "mooring-iscsi", key))

    def make_image(self, name: str, size: int) -> None:
        with suppress(NotFound):
            if self._cluster.image_size(POOL, name) > size:
                self._remove(name)
        with suppress(Conflict):
            self._cluster.make_image(POOL, name, size=size)
        self._cluster.resize_image(POOL, name, size)

    def _remove(self, name: str) -> None:
        """One that a server had open when it was killed is open for Ceph half a minute more."""
        eventually(lambda: self._removed(name), seconds=90)

    def _removed(self, name: str) -> bool:
        try:
            self._cluster.remove_image(POOL, name)
        except Conflict:
            return False
        return True

    def remove_image(self, name: str) -> None:
        self._cluster.remove_image(POOL, name)

    def crash(self, number: int) -> None:
        was = self.servers.look(number).instance
        self._lab.exec(NODE, "sh", "-c", f"pkill -KILL -f '^tgtd -f -C {number} '")
        eventually(lambda: self._back(number, was))

    def _back(self, number: int, was: str) -> bool:
        found = self.servers.look(number)
        return found.running and found.instance != was and found.error is None

    def seen(
        self, number: int, *, initiator: str = "iqn.2001.com.example:a", user: str = "", password: str = ""
    ) -> dict[str, set[int]]:
        return self._initiator.targets(
            facts(self.servers, number).portals[0], name=initiator, user=user, password=password
        )


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.lab)])
def iscsi_subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """A node without servers, before and after."""
    if request.param == "fake":
        made: Subject = FakeSubject()
    else:
        endpoints: dict[str, Endpoint] = request.getfixturevalue("onboarded_lab")
        made = LabSubject(*request.getfixturevalue("lab_storage"), endpoints[NODE])
    yield made
    for number in NUMBERS:
        with suppress(DriverError):
            made.servers.stop(number)
    made.servers.remove_address(made.free, made.prefix, made.interface)
