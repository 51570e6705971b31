"""What every StorageCluster tells and does about its map and disks, on the fake and on the lab's Ceph."""

import pytest

from infrastructure.drivers.errors import Conflict, NotFound
from storage.drivers.base import StorageCluster

NOBODY = 9999


def test_a_look_tells_who_the_cluster_is_and_how_it_is(storage: StorageCluster) -> None:
    facts = storage.look()
    assert len(facts.fsid) == 36
    assert facts.version.count(".") == 2
    assert facts.health in ("HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR")
    assert facts.manager_answers
    assert 0 < facts.ratios.near_full < facts.ratios.full < 1


def test_every_disk_lies_in_the_host_that_it_names(storage: StorageCluster) -> None:
    facts = storage.look()
    hosts = {bucket.name: bucket for bucket in facts.buckets if bucket.type == "host"}
    assert len(facts.disks) >= 9
    for disk in facts.disks:
        assert disk.id in hosts[disk.host].children
        assert disk.tier in (1, 2)
        assert (disk.up, disk.taken) == (True, True)
        assert 0 < disk.used < disk.size
        assert disk.crush_weight > 0


def test_the_map_hangs_together_from_the_root(storage: StorageCluster) -> None:
    facts = storage.look()
    known = {bucket.id for bucket in facts.buckets} | {disk.id for disk in facts.disks}
    assert {child for bucket in facts.buckets for child in bucket.children} <= known
    assert any(bucket.name == "default" and bucket.type == "root" for bucket in facts.buckets)
    assert not any("~" in bucket.name for bucket in facts.buckets)


def test_the_space_is_that_of_its_disks(storage: StorageCluster) -> None:
    facts = storage.look()
    assert facts.space.total == sum(disk.size for disk in facts.disks)
    assert facts.space.used + facts.space.available == facts.space.total
    assert set(facts.space_by_class) == {"tier1", "tier2"}
    assert sum(space.total for space in facts.space_by_class.values()) == facts.space.total


def test_one_monitor_leads_and_one_manager_is_active(storage: StorageCluster) -> None:
    daemons = storage.look().daemons
    assert [daemon.role for daemon in daemons if daemon.kind == "mon"].count("leader") == 1
    assert [daemon.role for daemon in daemons if daemon.kind == "mgr"].count("active") == 1
    assert len([daemon for daemon in daemons if daemon.kind == "mon" and daemon.up]) == 3
    assert all(daemon.host for daemon in daemons if daemon.kind == "mon")


def test_a_disk_changes_its_class_and_back(storage: StorageCluster) -> None:
    disk = max(disk.id for disk in storage.look().disks if disk.tier == 2)
    assert storage.set_device_class(disk, "tier1") is True
    assert storage.set_device_class(disk, "tier1") is False
    assert next(found.tier for found in storage.look().disks if found.id == disk) == 1
    assert storage.set_device_class(disk, "tier2") is True
    assert next(found.tier for found in storage.look().disks if found.id == disk) == 2


def test_a_disk_is_taken_out_and_in_again(storage: StorageCluster) -> None:
    disk = max(disk.id for disk in storage.look().disks)
    assert storage.set_taken(disk, taken=False) is True
    assert storage.set_taken(disk, taken=False) is False
    assert [found.id for found in storage.look().disks if not found.taken] == [disk]
    assert storage.set_taken(disk, taken=True) is True
    assert all(found.taken for found in storage.look().disks)


def test_a_disk_that_runs_is_not_removed(storage: StorageCluster) -> None:
    disk = max(disk.id for disk in storage.look().disks)
    with pytest.raises(Conflict, match="still up"):
        storage.purge(disk)
    assert disk in {found.id for found in storage.look().disks}


def test_a_disk_that_is_not_there(storage: StorageCluster) -> None:
    assert storage.purge(NOBODY) is False
    with pytest.raises(NotFound):
        storage.set_device_class(NOBODY, "tier1")
    with pytest.raises(NotFound):
        storage.set_taken(NOBODY, taken=True)
    with pytest.raises(NotFound):
        storage.may_destroy(NOBODY)
