"""The hooks of the fake cluster: scripted faults, and what tests change."""

import threading

import pytest

from infrastructure.drivers.base import within
from infrastructure.drivers.errors import Refused, TimedOut, Unreachable
from storage.drivers import fake

MARKS = {"mooring": "vm"}


def test_a_usual_cluster_has_its_tiers_in_every_host() -> None:
    facts = fake.cluster(hosts=4, disks=4, tiers=(1, 2)).look()
    assert len(facts.disks) == 16
    assert {(disk.host, disk.tier) for disk in facts.disks} == {
        (host, tier) for host in ("primary", "secondnode1", "secondnode2", "node4") for tier in (1, 2)
    }


def test_hosts_lie_in_racks_in_turn() -> None:
    buckets = {bucket.name: bucket for bucket in fake.cluster(hosts=3, racks=2).look().buckets}
    assert buckets["rack1"].children == (buckets["primary"].id, buckets["secondnode2"].id)
    assert buckets["default"].children == (buckets["room1"].id,)


def test_a_scripted_fault_comes_once_and_has_no_effect() -> None:
    cluster = fake.cluster()
    cluster.fail_next("make_rule", Refused("no", component="ceph"))
    with pytest.raises(Refused):
        cluster.make_rule("mooring-r", device_class="tier1", domain="host")
    assert cluster.make_rule("mooring-r", device_class="tier1", domain="host") is True
    assert cluster.calls == ["make_rule", "make_rule"]


def test_a_call_that_hangs_is_timed_out_at_its_deadline_and_goes_on_when_let() -> None:
    cluster = fake.cluster()
    cluster.hang("look")
    with within(0.01), pytest.raises(TimedOut):
        cluster.look()
    gate = cluster.hang("look")
    threading.Timer(0.01, gate.set).start()
    assert cluster.look().disks


def test_data_leaves_a_disk_that_is_out_when_it_settles() -> None:
    cluster = fake.cluster()
    cluster.set_taken(3, taken=False)
    assert not cluster.may_destroy(3)
    cluster.settle()
    assert cluster.may_destroy(3)
    cluster.stop(3)
    assert cluster.purge(3) is True
    assert 3 not in {child for bucket in cluster.look().buckets for child in bucket.children}


def test_full_disks_leave_no_room_in_a_pool() -> None:
    cluster = fake.cluster()
    cluster.add_pool("rbd")
    assert cluster.look().pools[0].available > 0
    cluster.fill(0.95)
    assert cluster.look().pools[0].available == 0


def test_a_cluster_that_always_fails() -> None:
    cluster = fake.AlwaysFailing()
    with pytest.raises(Unreachable):
        cluster.look()
    with pytest.raises(Unreachable):
        cluster.remove_pool("mooring-x", marks=MARKS)
