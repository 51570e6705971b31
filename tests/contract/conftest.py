"""The engines that the contract suite runs on."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infrastructure.drivers import registry
from infrastructure.drivers.base import Endpoint, HostDriver, VEState
from infrastructure.drivers.facts import Capability, NodeFacts, VEFacts, VEKind
from infrastructure.drivers.fake import FakeCluster
from tests.waiting import eventually


@dataclass(frozen=True)
class Subject:
    """A node under test: a VM to play with, a CT and a second node where the engine has them."""

    driver: HostDriver
    vm: str
    ct: str = ""
    peer: HostDriver | None = None
    unsafe: bool = False

    def has(self, capability: Capability) -> bool:
        return capability in self.driver.capabilities()

    def ensure_running(self, uuid: str) -> None:
        self.driver.start(uuid)
        self.driver.resume(uuid)
        eventually(lambda: self.driver.state(uuid).state is VEState.RUNNING)

    def booted(self) -> None:
        """Wait until the VM has booted: one that is emulated and moved while its kernel patches itself breaks."""
        if self.unsafe:
            eventually(lambda: self.driver.agent_ping(self.vm), 120)


@pytest.fixture(scope="session")
def onboarded_lab() -> Iterator[dict[str, Endpoint]]:
    from tests.contract.lab_nodes import onboarded

    with onboarded() as endpoints:
        yield endpoints


@pytest.fixture(params=["fake", "test-driver", pytest.param("lab", marks=pytest.mark.lab)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One node of each engine, its VM running before and after."""
    made = {"fake": _fake, "test-driver": _test_driver, "lab": _lab}[request.param](request)
    made.ensure_running(made.vm)
    yield made
    if made.peer is not None and made.vm in {ve.uuid for ve in made.peer.ves()}:
        made.peer.migrate(made.vm, made.driver.endpoint, unsafe=made.unsafe)
    made.ensure_running(made.vm)
    made.driver.set_autostart(made.vm, False)
    made.driver.close()


def _fake(_request: pytest.FixtureRequest) -> Subject:
    cluster = FakeCluster()
    facts = NodeFacts("11111111-2222-3333-4444-555555555555", "one", "9.0.0", "7.2.0", "cpu", 2, 2000, 1 << 32, 1 << 31)
    vm = VEFacts("aaaaaaaa-0000-0000-0000-000000000001", "vm", VEKind.VM, VEState.RUNNING)
    ct = VEFacts("aaaaaaaa-0000-0000-0000-000000000002", "ct", VEKind.CT, VEState.STOPPED)
    node = cluster.add(Endpoint("one", "192.0.2.1"), facts, vm, ct)
    peer = cluster.add(Endpoint("two", "192.0.2.2"), facts)
    return Subject(node, vm.uuid, ct.uuid, peer)


def _test_driver(_request: pytest.FixtureRequest) -> Subject:
    driver = registry.driver_for(Endpoint("test", "127.0.0.1", uri="test:///default"))
    return Subject(driver, driver.ves()[0].uuid)


def _lab(request: pytest.FixtureRequest) -> Subject:
    endpoints: dict[str, Endpoint] = request.getfixturevalue("onboarded_lab")
    primary, peer = (registry.driver_for(endpoints[name]) for name in ("primary", "secondnode1"))
    for away in (registry.driver_for(endpoint) for name, endpoint in endpoints.items() if name != "primary"):
        for ve in away.ves():
            if ve.name == "vmtest":  # where a test of another file left it
                away.migrate(ve.uuid, primary.endpoint, unsafe=True)
    found = {ve.name: ve.uuid for ve in primary.ves()}
    return Subject(primary, found["vmtest"], found["ct1"], peer, unsafe=True)


from tests.contract.storage_subjects import lab_storage, storage, storage_subject  # noqa: E402, F401
