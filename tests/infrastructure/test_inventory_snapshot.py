"""A node and its VEs as it listed them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.drivers.facts import DiskFacts, NetworkFacts, NicFacts
from infrastructure.models import VE, InventoryRevision, Node, Placement
from infrastructure.services import inventory
from tests.infrastructure.inventory_facts import later, make_node, node_facts, uuid_of, ve_facts

pytestmark = pytest.mark.django_db


@pytest.fixture
def primary(db: None) -> Node:
    return make_node("primary")


def read(node: Node, *ves: object, **facts: object) -> inventory.Batch:
    return inventory.apply_snapshot(node, node_facts(node, **facts), ves)  # type: ignore[arg-type]


def booted(node: Node, ago: timedelta) -> None:
    with inventory.writing() as batch:
        batch.node_booted(batch.node(node.pk), timezone.now() - ago)  # type: ignore[arg-type]


def test_a_first_listing_makes_rows_under_one_revision(primary: Node) -> None:
    disks = (DiskFacts("vda", "/srv/vmtest.img", "file", "raw", size_bytes=1 << 30, backing=("/srv/base.img",)),)
    nics = (NicFacts("52:54:00:00:00:01", "network", network="default"),)
    batch = read(primary, ve_facts("vmtest", disks=disks, nics=nics), ve_facts("vm2", "stopped"))
    assert batch.rev == InventoryRevision.current() == 1
    primary.refresh_from_db()
    assert (primary.state, primary.rev, primary.hostname, primary.roles) == (NodeState.ONLINE, 1, "primary", ["VE"])
    assert [network.bridge for network in primary.networks.all()] == ["virbr0"]
    vmtest = VE.objects.get(name="vmtest")
    assert (vmtest.state, vmtest.node, vmtest.rev, vmtest.started_at) == (VEState.RUNNING, primary, 1, None)
    assert vmtest.disks[0]["backing"] == ["/srv/base.img"]
    assert Placement.objects.count() == 2


def test_the_same_listing_again_takes_no_revision(primary: Node) -> None:
    ves = [
        ve_facts("vmtest", nics=(NicFacts("52:54:00:00:00:01", addresses=("10.0.0.1",)),)),
        ve_facts("vm2", "stopped"),
    ]
    read(primary, *ves)
    Node.objects.update(observed_at=timezone.now() - timedelta(hours=1))
    assert read(primary, *ves).rev is None
    primary.refresh_from_db()
    assert timezone.now() - primary.observed_at < timedelta(minutes=1)
    assert InventoryRevision.current() == 1


def test_only_what_changed_carries_the_new_revision(primary: Node) -> None:
    read(primary, ve_facts("vmtest"), ve_facts("vm2", "stopped"))
    read(primary, ve_facts("vmtest"), ve_facts("vm2", "running"))
    assert dict(VE.objects.values_list("name", "rev")) == {"vmtest": 1, "vm2": 2}
    primary.refresh_from_db()
    assert primary.rev == 1


def test_a_size_that_is_not_told_now_is_kept(primary: Node) -> None:
    disk = DiskFacts("vda", "/srv/vmtest.img", "file", "raw", size_bytes=1 << 30)
    read(primary, ve_facts("vmtest", disks=(disk,)))
    assert read(primary, ve_facts("vmtest", disks=(replace(disk, size_bytes=0),))).rev is None
    read(primary, ve_facts("vmtest", disks=(replace(disk, size_bytes=0, source="/srv/other.img"),)))
    assert VE.objects.get().disks[0]["size_bytes"] == 0


def test_networks_follow_the_node(primary: Node) -> None:
    read(primary)
    batch = read(primary, networks=(NetworkFacts("default", "virbr1"), NetworkFacts("san", "br1", active=False)))
    assert batch.rev == 2
    assert sorted(primary.networks.values_list("name", "bridge", "active")) == [
        ("default", "virbr1", True),
        ("san", "br1", False),
    ]
    read(primary, networks=())
    assert not primary.networks.exists()


def test_a_ve_that_left_is_missing_where_it_was(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    read(primary)
    ve = VE.objects.get()
    assert (ve.state, ve.node, ve.placements.count()) == (VEState.MISSING, primary, 0)
    assert ve.state_reason == "primary no longer has it, and no other node shows it"
    read(primary, ve_facts("vmtest"))
    ve.refresh_from_db()
    assert (ve.state, ve.state_reason) == (VEState.RUNNING, "")


def test_a_node_without_contact_keeps_its_ves(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    seen = Node.objects.get().observed_at
    rev = inventory.mark_unreachable(primary, "no answer for 10 s").rev
    primary.refresh_from_db()
    assert (primary.state, primary.state_reason) == (NodeState.UNREACHABLE, "no answer for 10 s")
    assert primary.unreachable_since == primary.observed_at == seen
    ve = VE.objects.get()
    assert (ve.state, ve.node, ve.rev) == (VEState.RUNNING, primary, rev)
    inventory.mark_unreachable(primary, "no route to host")
    assert Node.objects.get().unreachable_since == seen
    assert inventory.mark_unreachable(primary, "no route to host").rev is None
    read(primary, ve_facts("vmtest"))
    primary.refresh_from_db()
    assert (primary.state, primary.state_reason, primary.unreachable_since) == (NodeState.ONLINE, "", None)


def test_another_machine_at_the_address_is_refused(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    read(primary, ve_facts("stranger"), uuid=uuid_of("other host"))
    primary.refresh_from_db()
    assert primary.state == NodeState.REFUSED
    assert "another machine" in primary.state_reason
    assert str(primary.uuid) == uuid_of("host primary")
    assert [ve.name for ve in VE.objects.all()] == ["vmtest"]


def test_two_nodes_with_one_host_uuid_are_told_apart() -> None:
    make_node("primary")
    twin = make_node("twin", uuid=None)
    read(twin, uuid=uuid_of("host primary"))
    twin.refresh_from_db()
    assert (twin.state, twin.uuid) == (NodeState.REFUSED, None)
    assert "host_uuid" in twin.state_reason


def test_a_ve_follows_a_migration_step_by_step(primary: Node) -> None:
    second = make_node("secondnode1")
    read(primary, ve_facts("vmtest"))
    read(second)
    ve = VE.objects.get()
    inventory.set_migrating(ve, second)
    assert ve.state == VEState.MIGRATING
    inventory.apply_ve(second, ve_facts("vmtest", "paused", reason="starting-up"))
    ve.refresh_from_db()
    assert (ve.state, ve.node, ve.placements.count()) == (VEState.MIGRATING, primary, 2)
    inventory.apply_ve(second, ve_facts("vmtest", "running", vcpus=3))
    ve.refresh_from_db()
    assert (ve.state, ve.node, ve.vcpus) == (VEState.MIGRATING, second, 3)
    inventory.apply_gone(primary, uuid_of("vmtest"))
    inventory.set_migrating(ve, None)
    ve.refresh_from_db()
    assert (ve.state, ve.node, ve.migrating_to, ve.started_at) == (VEState.RUNNING, second, None, None)
    assert [placement.node for placement in ve.placements.all()] == [second]


def test_facts_come_from_the_node_the_ve_is_on(primary: Node) -> None:
    second = make_node("secondnode1")
    read(primary, ve_facts("vmtest"))
    batch = read(second, ve_facts("vmtest", "stopped", memory_bytes=5 << 30))
    assert batch.rev is not None
    assert VE.objects.get().memory_bytes == 1 << 30
    batch = inventory.apply_gone(primary, uuid_of("vmtest"))
    ve = VE.objects.get()
    assert (ve.node, ve.state) == (second, VEState.STOPPED)
    assert batch.wanted == {(second.pk, uuid_of("vmtest"))}


def test_an_answer_that_was_overtaken_changes_nothing(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    asked = timezone.now()
    inventory.apply_ve(primary, ve_facts("vmtest", "stopped"))
    inventory.apply_ve(primary, ve_facts("vmtest", "running"), asked)
    inventory.apply_gone(primary, uuid_of("vmtest"), asked)
    assert VE.objects.get().state == VEState.STOPPED


def test_a_clock_set_back_does_not_freeze_the_inventory(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    Placement.objects.update(observed_at=later(3600))
    inventory.apply_ve(primary, ve_facts("vmtest", "stopped"))
    assert VE.objects.get().state == VEState.STOPPED


def test_starting_and_stopping_sets_the_time_of_start(primary: Node) -> None:
    read(primary, ve_facts("vmtest", "stopped"))
    inventory.apply_ve(primary, ve_facts("vmtest", "running"))
    ve = VE.objects.get()
    first = ve.started_at
    assert first is not None
    inventory.apply_addresses(primary, uuid_of("vmtest"), ["10.0.0.7"])
    inventory.apply_ve(primary, ve_facts("vmtest", "running"), booted=True)
    ve.refresh_from_db()
    assert ve.started_at > first
    inventory.apply_ve(primary, ve_facts("vmtest", "stopped", reason="crashed"))
    ve.refresh_from_db()
    assert (ve.started_at, ve.addresses, ve.state_reason) == (None, [], "Process crashed")


def test_a_node_that_was_restarted_takes_the_start_times_of_its_ves(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    VE.objects.update(started_at=timezone.now() - timedelta(days=3))
    booted(primary, timedelta(days=4))
    assert VE.objects.get().started_at is not None
    rev = InventoryRevision.current()
    booted(primary, timedelta(days=4, seconds=3))
    assert InventoryRevision.current() == rev
    booted(primary, timedelta(minutes=1))
    assert VE.objects.get().started_at is None


def test_a_node_removed_meanwhile_is_passed_over(primary: Node) -> None:
    read(primary, ve_facts("vmtest"))
    gone = Node(pk=primary.pk, name="primary")
    primary.delete()
    assert inventory.apply_snapshot(gone, node_facts("primary"), [ve_facts("vmtest")]).rev is None
    assert inventory.apply_ve(gone, ve_facts("vmtest")).rev is None
    assert inventory.mark_unreachable(gone, "no answer").rev is None
