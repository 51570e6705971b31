"""Asking for a migration: rights, limits, lanes, and what is refused at once."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.choices import Kind
from infrastructure.models import VE, Node
from infrastructure.services import bulk, migration, power
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.migration import MigrationOptions
from panel.accounts.models import RoleBinding, User
from panel.accounts.roles import Role
from panel.audit.models import AuditRecord
from tasks.errors import TaskConflict
from tasks.models import Task
from tests.infrastructure.fake_nodes import VMTEST, Cluster, run
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


@pytest.mark.parametrize("live", [True, False])
def test_who_holds_one_node_moves_nothing_to_another(cluster: Cluster, make_user: Any, live: bool) -> None:
    ana = make_user("ana", Role.OPERATOR, scope=("node", cluster.rows["primary"].pk))

    with pytest.raises(PermissionDenied):
        migration.start(user=ana, ve=cluster.vmtest, target=target(), live=live)
    with pytest.raises(PermissionDenied):
        bulk.start_migrations(user=ana, moves=[bulk.Move(cluster.vmtest, target(), live)], at_most=1)
    assert AuditRecord.objects.filter(target_name="secondnode1", actor=ana, result="refused").count() == 2
    assert not Task.objects.exists()
    RoleBinding.objects.create(user=ana, role=Role.OPERATOR, scope_type="node", scope_id=target().pk)
    assert migration.start(user=User.objects.get(pk=ana.pk), ve=cluster.vmtest, target=target(), live=live)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("kept", ["primary", "secondnode1"])
def test_the_worker_asks_again_about_the_ve_and_the_target(
    cluster: Cluster, make_user: Any, live: bool, kept: str
) -> None:
    ana = make_user("ana", Role.OPERATOR)
    task = migration.start(user=ana, ve=cluster.vmtest, target=target(), live=live)
    RoleBinding.objects.update(scope_type="node", scope_id=cluster.rows[kept].pk)

    run(task)

    lost = "secondnode1" if kept == "primary" else "vmtest"
    assert (task.state, task.reason) == ("failed", f"ana does not hold the permission ve.migrate over {lost}.")
    assert cluster.where() == ["primary"]


def test_the_dialog_offers_no_node_that_would_be_refused(cluster: Cluster, make_user: Any, client_of: Any) -> None:
    client = client_of(make_user("ana", Role.OPERATOR, scope=("node", cluster.rows["primary"].pk)))
    path = f"/infrastructure/ves/{cluster.vmtest.pk}/migrate/"

    assert "secondnode1" not in client.get(path).content.decode()
    assert client.get(f"{path}checks/", {"target": target().pk}).status_code == 404
    assert client.post(path, {"target": target().pk, "mode": "live"}).status_code == 422
    assert not Task.objects.exists()


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


def test_a_container_is_refused_live_and_moves_offline(cluster: Cluster) -> None:
    VE.objects.filter(uuid=VMTEST).update(kind=Kind.CT)
    with pytest.raises(NotPossible, match="libvirt cannot move containers while they run") as refusal:
        migration.start(user=None, ve=cluster.vmtest, target=target())
    assert refusal.value.advice == "Choose Offline."
    assert migration.start(user=None, ve=cluster.vmtest, target=target(), live=False).kind == "ve.move"


def test_a_bulk_action_gets_the_very_task_that_a_single_one_starts(cluster: Cluster) -> None:
    options = MigrationOptions(bandwidth_mib=16, pause_limit_ms=1200)
    child = migration.as_child(ve=cluster.vmtest, target=target(), options=options)
    task = migration.start(user=None, ve=cluster.vmtest, target=target(), options=options)
    assert (task.kind, task.params | child.params) == (child.kind, task.params)
    assert task.place == child.place


def test_what_cannot_run_or_is_a_container_does_not_move_live(cluster: Cluster) -> None:
    assert migration.moves_live(cluster.vmtest)
    VE.objects.filter(uuid=VMTEST).update(state="stopped")
    assert not migration.moves_live(cluster.vmtest)
    VE.objects.filter(uuid=VMTEST).update(state="running", kind=Kind.CT)
    assert not migration.moves_live(cluster.vmtest)


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
        ({"pause_limit_ms": 299}, "pause_limit_ms"),
        ({"pause_limit_ms": 60_001}, "pause_limit_ms"),
    ],
)
def test_options_out_of_range_name_their_field(cluster: Cluster, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        migration.start(user=None, ve=cluster.vmtest, target=target(), options=MigrationOptions(**options))
    assert refusal.value.field == field
