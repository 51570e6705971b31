"""Pools that the driver makes, used as VMs and disks that fail use them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infrastructure.drivers.errors import Refused
from storage.drivers.base import StorageCluster
from storage.drivers.ceph import CephCluster
from storage.drivers.facts import PoolFacts, Profile
from tests.lab import ceph
from tests.lab.conftest import RunningLab
from tests.waiting import eventually

pytestmark = pytest.mark.lab
MARKS = {"mooring": "pools"}
RULE, COPIES, CODED = "mooring-pools-rule", "mooring-pools-copies", "mooring-pools-coded"
CODE = Profile("mooring-pools-code", 2, 1, "osd", "tier1")


@pytest.fixture(scope="module")
def cluster(lab: RunningLab) -> Iterator[StorageCluster]:
    made = CephCluster(ceph.access(lab))
    eventually(lambda: made.look().manager_answers)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(cluster: StorageCluster) -> Iterator[None]:
    yield
    for pool in (COPIES, CODED):
        cluster.remove_pool(pool, marks=MARKS)
    cluster.remove_rule(RULE)
    cluster.remove_profile(CODE.name)


def make_copies(cluster: StorageCluster, *, size: int = 2, tier: str = "tier1") -> None:
    cluster.make_rule(RULE, device_class=tier, domain="host")
    cluster.make_replicated_pool(COPIES, size=size, rule=RULE, application="rbd", marks=MARKS)


def found(cluster: StorageCluster, name: str) -> PoolFacts:
    return next(pool for pool in cluster.look().pools if pool.name == name)


@contextmanager
def setting(lab: RunningLab, name: str) -> Iterator[None]:
    """What the lab's monitors allow, forbidden for a while; as clusters outside the lab come."""
    ceph.ceph(lab, "tell", "mon.*", "config", "set", name, "false")
    try:
        yield
    finally:
        ceph.ceph(lab, "tell", "mon.*", "config", "set", name, "true")


def test_an_image_keeps_its_data_in_the_coded_pool_and_what_was_written_is_counted(
    lab: RunningLab, cluster: StorageCluster
) -> None:
    make_copies(cluster)
    cluster.make_profile(CODE)
    cluster.make_coded_pool(CODED, profile=CODE, application="rbd", marks=MARKS)
    cluster.set_default_data_pool(COPIES, CODED)
    ceph.rbd(lab, "create", f"{COPIES}/disk", "--size", "16M")
    assert f"data_pool: {CODED}" in ceph.rbd(lab, "info", f"{COPIES}/disk")
    writing = ("--io-type", "write", "--io-size", "1M", "--io-total", "8M")
    ceph.rbd(lab, "bench", f"{COPIES}/disk", *writing)
    eventually(lambda: found(cluster, CODED).stored >= 8 << 20, seconds=30)
    coded = found(cluster, CODED)
    assert 1.4 < coded.used / coded.stored < 1.7  # three chunks for two
    assert found(cluster, COPIES).stored < 1 << 20
    assert cluster.images(COPIES) == ("disk",)


def test_the_autoscaler_sees_to_the_groups_of_a_new_pool(lab: RunningLab, cluster: StorageCluster) -> None:
    make_copies(cluster)
    told = ceph.told(lab, "osd", "pool", "get", COPIES, "all")
    assert (told["pg_autoscale_mode"], told.get("fast_read", 0)) == ("on", 0)


def test_groups_with_one_copy_left_are_urgent_until_the_disk_is_back(lab: RunningLab, cluster: StorageCluster) -> None:
    make_copies(cluster, tier="tier2")
    victim = next(disk.id for disk in cluster.look().disks if disk.tier == 2)
    lab.run("disk-off", str(victim))
    try:
        eventually(lambda: not next(disk for disk in cluster.look().disks if disk.id == victim).up)
        eventually(lambda: cluster.look().groups.urgent > 0)
        assert any(check.code == "OSD_DOWN" and check.details for check in cluster.look().checks)
    finally:
        lab.run("disk-on", str(victim))
    eventually(lambda: cluster.look().groups.urgent == 0, seconds=60)
    eventually(lambda: all(disk.up and disk.taken for disk in cluster.look().disks), seconds=60)


def test_a_cluster_that_forbids_removing_pools_says_how_to_allow_it(lab: RunningLab, cluster: StorageCluster) -> None:
    make_copies(cluster)
    with setting(lab, "mon_allow_pool_delete"), pytest.raises(Refused) as caught:
        cluster.remove_pool(COPIES, marks=MARKS)
    assert "ceph config set mon mon_allow_pool_delete true" in str(caught.value)
    assert found(cluster, COPIES)


def test_a_cluster_that_forbids_single_copies_says_how_to_allow_them(lab: RunningLab, cluster: StorageCluster) -> None:
    with setting(lab, "mon_allow_pool_size_one"), pytest.raises(Refused) as caught:
        make_copies(cluster, size=1)
    assert "mon_allow_pool_size_one true" in str(caught.value)
    assert COPIES not in {pool.name for pool in cluster.pools()}
