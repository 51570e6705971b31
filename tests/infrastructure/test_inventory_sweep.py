"""What a killed process left behind is put right."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from infrastructure.choices import VEState
from infrastructure.models import VE, InventoryRevision, Node, Removal
from infrastructure.services import inventory
from infrastructure.services.inventory_samples import NodeReading, VEReading, apply_samples
from infrastructure.topics import MOST_IDS, read
from panel.accounts.models import User
from panel.live.registry import Update
from tasks.models import Task, TaskLock
from tests.infrastructure.inventory_facts import make_node, node_facts, uuid_of, ve_facts

pytestmark = pytest.mark.django_db
GIB = 1 << 30


@pytest.fixture
def primary(db: None) -> Node:
    node = make_node("primary")
    inventory.apply_snapshot(node, node_facts(node), [ve_facts("vmtest"), ve_facts("vm2", "stopped")])
    return node


@pytest.fixture
def news(viewer: User) -> Callable[[int], Update | None]:
    """news(revision) → what a page of somebody who may see everything is told."""
    return partial(read, viewer, "")


def test_a_migration_is_shown_as_long_as_its_task_holds_the_ve(primary: Node) -> None:
    second = make_node("secondnode1")
    ve = VE.objects.get(name="vmtest")
    task = Task.objects.create(kind="ve.migrate", title="Migrating", queue="migrate", params_hash="x")
    lock = TaskLock.objects.create(key=f"ve:{ve.pk}", task=task)
    inventory.set_migrating(ve, second)
    assert inventory.sweep() is None
    assert VE.objects.get(pk=ve.pk).state == VEState.MIGRATING
    lock.delete()
    assert inventory.sweep() == InventoryRevision.current()
    ve.refresh_from_db()
    assert (ve.state, ve.migrating_to) == (VEState.RUNNING, None)
    assert inventory.sweep() is None


def test_a_removed_node_takes_the_ves_known_only_from_it(primary: Node) -> None:
    second = make_node("secondnode1")
    inventory.apply_snapshot(second, node_facts(second), [ve_facts("vmtest", "stopped"), ve_facts("ct2")])
    gone = VE.objects.get(name="vm2").pk
    node_id = primary.pk
    with transaction.atomic():
        inventory.release(primary)
        primary.delete()
    assert sorted(VE.objects.values_list("name", "node__name")) == [("ct2", "secondnode1"), ("vmtest", "secondnode1")]
    assert set(map(str, Removal.objects.all())) == {f"ve:{gone}", f"node:{node_id}"}


def test_ves_of_a_node_that_was_deleted_without_release_are_swept(primary: Node) -> None:
    second = make_node("secondnode1")
    inventory.apply_snapshot(second, node_facts(second), [ve_facts("vmtest", "stopped")])
    primary.delete()
    inventory.sweep()
    ve = VE.objects.get()
    assert (ve.name, ve.node, ve.state) == ("vmtest", second, VEState.STOPPED)


def test_a_missing_ve_goes_with_its_node(primary: Node) -> None:
    inventory.apply_snapshot(primary, node_facts(primary), [])
    inventory.release(primary)
    assert not VE.objects.exists()


def test_pages_are_told_what_changed_and_what_went(primary: Node, news: Callable[[int], Update | None]) -> None:
    before = InventoryRevision.current()
    assert news(before) is None
    inventory.apply_ve(primary, ve_facts("vm2", "running"))
    changed = news(before)
    assert changed is not None
    vm2 = VE.objects.get(name="vm2").pk
    assert changed.data == {"nodes": [], "ves": [vm2], "removed": [], "all": False, "figures": False}
    inventory.release(primary)
    went = news(changed.rev)
    assert went is not None
    assert set(went.data["removed"]) >= {f"ve:{vm2}", f"node:{primary.pk}"}


def test_a_page_that_knows_nothing_is_told_the_revision_alone(
    primary: Node, news: Callable[[int], Update | None]
) -> None:
    update = news(0)
    assert update is not None
    assert (update.rev, update.data["ves"], update.data["all"]) == (InventoryRevision.current(), [], False)


def test_a_page_too_far_behind_reads_everything(primary: Node, news: Callable[[int], Update | None]) -> None:
    VE.objects.bulk_create(VE(uuid=uuid_of(f"v{n}"), name=f"v{n}", kind="vm", rev=2) for n in range(MOST_IDS + 1))
    InventoryRevision.bump()
    behind, ahead = news(1), news(99)
    assert behind is not None
    assert ahead is not None
    assert behind.data == {"nodes": [], "ves": [], "removed": [], "all": True, "figures": False}
    assert (ahead.data["all"], ahead.rev) == (True, 2)


def test_pages_are_told_when_figures_alone_changed(primary: Node, news: Callable[[int], Update | None]) -> None:
    inventory.apply_snapshot(primary, node_facts(primary), [ve_facts("vm2", "running"), ve_facts("vm3")])
    before = InventoryRevision.current()
    ves = dict(VE.objects.values_list("name", "pk"))
    quiet = (VEReading(uuid_of("vm2"), VEState.RUNNING, 50.0, GIB), VEReading(uuid_of("vm3"), VEState.RUNNING))
    apply_samples([NodeReading(primary.pk, timezone.now(), 20.0, 4 * GIB, quiet)])
    update = news(before)
    assert update is not None
    assert (update.data["nodes"], update.data["ves"], update.data["figures"]) == ([primary.pk], [ves["vm2"]], True)

    inventory.apply_ve(primary, ve_facts("vm3", "paused"))
    update = news(before)
    assert update is not None
    assert (set(update.data["ves"]), update.data["figures"]) == ({ves["vm2"], ves["vm3"]}, False)


@pytest.mark.parametrize("figures", [(95.0, 4 * GIB), (20.0, GIB // 100)])
def test_a_node_that_becomes_full_is_more_than_figures(
    figures: tuple[float, int], primary: Node, news: Callable[[int], Update | None]
) -> None:
    before = InventoryRevision.current()
    for reading, alone in (((20.0, 4 * GIB), True), (figures, False), ((20.0, 4 * GIB), False)):
        apply_samples([NodeReading(primary.pk, timezone.now(), *reading, ())])
        update = news(before)
        assert update is not None
        assert update.data["figures"] is alone, reading
        before = update.rev


def test_removals_are_forgotten_after_a_week(primary: Node) -> None:
    Removal.objects.create(kind="ve", object_id=1, rev=1, at=timezone.now() - timedelta(days=8))
    Removal.objects.create(kind="ve", object_id=2, rev=1, at=timezone.now())
    inventory.sweep()
    assert [removal.object_id for removal in Removal.objects.all()] == [2]
