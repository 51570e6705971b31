"""Asking for a migration: rights, limits, lanes, and what is refused at once."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.choices import Kind
from infrastructure.models import VE, Node
from infrastructure.services import migration, power
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.migration import MigrationOptions
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.errors import TaskConflict
from tasks.models import Task
from tests.infrastructure.fake_nodes import VMTEST, Cluster
from tests.infrastructure.inventory_facts import make_node


def target() -> Node:
    return Node.objects.get(name="secondnode1")


def test_the_task_names_both_nodes_and_is_found_from_all_three(cluster: Cluster, operator: User) -> None:
    task = migration.start(user=operator, ve=cluster.vmtest, target=target())
    assert task.title == "Migrating Virtual Environment vmtest"
    assert task.place == "primary → secondnode1"
    assert {(each.object_type, each.object_name) for each in task.targets.all()} == {
        ("ve", "vmtest"),
        ("node", "primary"),
        ("node", "secondnode1"),
    }
    assert AuditRecord.objects.filter(action="ve.migrate", actor=operator, target_name="vmtest").exists()


def test_a_viewer_may_not(cluster: Cluster, viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        migration.start(user=viewer, ve=cluster.vmtest, target=target())
    assert AuditRecord.objects.filter(action="ve.migrate", result="refused").exists()


def test_a_second_click_finds_the_first_task(cluster: Cluster) -> None:
    first = migration.start(user=None, ve=cluster.vmtest, target=target())
    assert migration.start(user=None, ve=cluster.vmtest, target=target()).pk == first.pk


def test_another_target_meanwhile_is_refused_with_the_task(cluster: Cluster) -> None:
    first = migration.start(user=None, ve=cluster.vmtest, target=target())
    with pytest.raises(TaskConflict, match=rf"vmtest is being migrated \(task {first.pk}\)"):
        migration.start(user=None, ve=cluster.vmtest, target=make_node("secondnode2"))
    with pytest.raises(TaskConflict):
        power.stop(user=None, ve=cluster.vmtest)


def test_a_third_migration_waits_for_the_lane_and_says_so(cluster: Cluster) -> None:
    tasks = []
    for number in range(3):
        ve = VE.objects.create(uuid=f"00000000-0000-0000-0000-00000000000{number}", name=f"vm{number}", kind=Kind.VM,
                               node=cluster.rows["primary"])  # fmt: skip
        tasks.append(migration.start(user=None, ve=ve, target=target()))
    assert [task.state for task in tasks] == ["queued", "queued", "waiting"]
    assert tasks[2].waiting_for == "Waits for 2 migrations on primary and 2 migrations to secondnode1"


def test_a_container_is_refused_with_the_way_round(cluster: Cluster) -> None:
    VE.objects.filter(uuid=VMTEST).update(kind=Kind.CT)
    with pytest.raises(NotPossible, match="libvirt cannot migrate containers") as refusal:
        migration.start(user=None, ve=cluster.vmtest, target=target())
    assert "start it there" in refusal.value.advice


def test_the_node_it_is_on_is_no_target(cluster: Cluster) -> None:
    with pytest.raises(InvalidInput, match="is on primary already"):
        migration.start(user=None, ve=cluster.vmtest, target=cluster.rows["primary"])
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"bandwidth_mib": -1}, "bandwidth_mib"),
        ({"bandwidth_mib": 100_001}, "bandwidth_mib"),
        ({"max_downtime_ms": 0}, "max_downtime_ms"),
        ({"max_downtime_ms": 60_001}, "max_downtime_ms"),
    ],
)
def test_options_out_of_range_name_their_field(cluster: Cluster, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        migration.start(user=None, ve=cluster.vmtest, target=target(), options=MigrationOptions(**options))
    assert refusal.value.field == field
