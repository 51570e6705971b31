"""Hosts of a real Ceph go to the racks that their nodes stand in, and racks are failure domains then."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Refused
from infrastructure.services import nodes
from storage.drivers import registry
from storage.drivers.ceph import CephCluster
from storage.drivers.placing import Tree
from storage.models import Cluster
from storage.services import locations
from storage.services.access import driver
from storage.services.observed import facts_of
from storage.services.policies import Tiers
from tasks.models import Task
from tests.lab.known_cluster import known_cluster, look
from tests.lab.onboarded import OnboardedLab, completed

pytestmark = pytest.mark.lab

STANDS = {"primary": "rack-a", "secondnode1": "rack-a", "secondnode2": "rack-b"}
RACKS = {"rack-a", "rack-b"}


@pytest.fixture
def cluster(panel_lab: OnboardedLab) -> Iterator[Cluster]:
    """The lab's cluster, whose nodes stand in two racks and whose map has none."""
    made = known_cluster(panel_lab)
    look(made)
    for name, rack in STANDS.items():
        nodes.set_location(user=panel_lab.admin, node=panel_lab.node(name), room="", row="", rack=rack)
    yield made
    engine = driver(made)
    for name in STANDS:
        engine.locate_host(name, ())
    engine.remove_places(RACKS)
    registry.drop_all()


def move(panel: OnboardedLab, cluster: Cluster) -> Task:
    look(cluster)
    return panel.run(locations.locate(user=panel.admin, cluster=cluster, hosts=list(STANDS)))


def places(cluster: Cluster) -> dict[str, str]:
    """Host → the rack that Ceph has it in, or nothing."""
    tree = Tree(driver(cluster).look().buckets)
    return {host: "".join(name for _, name in tree.location(host) or ()) for host in STANDS}


def racks_in_the_picker(cluster: Cluster) -> int:
    look(cluster)
    facts = facts_of(cluster)
    assert facts is not None
    return len(Tiers(facts)[1].places("rack"))


def test_racks_are_failure_domains_once_hosts_lie_in_them(
    panel_lab: OnboardedLab, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [each.host for each in locations.differences(cluster)] == list(STANDS)
    assert racks_in_the_picker(cluster) == 0
    with monkeypatch.context() as patch:
        fail_at(patch, "secondnode2")
        assert move(panel_lab, cluster).state == "failed"
    assert set(places(cluster).values()) == {""}, "everything is where it was"
    assert not RACKS & {bucket.name for bucket in driver(cluster).look().buckets}

    completed(move(panel_lab, cluster))
    assert places(cluster) == STANDS
    assert racks_in_the_picker(cluster) == 2
    assert locations.differences(cluster) == []


def fail_at(patch: pytest.MonkeyPatch, host: str) -> None:
    """The monitors refuse to move this host; going back works."""
    locate = CephCluster.locate_host

    def refuse(self: CephCluster, name: str, location: object, **along: object) -> bool:
        if name == host and location:
            raise Refused("no", component="ceph")
        return locate(self, name, location, **along)  # type: ignore[arg-type]

    patch.setattr(CephCluster, "locate_host", refuse)
