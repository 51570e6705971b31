"""One action over many VEs: a parent with a child for each, the rights asked for each, and what may go wrong."""

import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.facts import VEState
from infrastructure.models import VE
from infrastructure.services import bulk, power
from infrastructure.services.bulk import Move
from infrastructure.services.errors import InvalidInput
from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.audit.models import AuditRecord
from tasks.models import Task
from tasks.reaper import take_over
from tasks.runner import TaskRun, claim
from tasks.services import cancel
from tests.infrastructure.fake_nodes import Cluster, run
from tests.infrastructure.inventory_facts import make_node, ve_facts
from tests.tasks.helpers import assert_invariants, in_threads

NAMES = ("vm1", "vm2", "vm3", "vm4")


@pytest.fixture
def ves(cluster: Cluster) -> list[VE]:
    """Four stopped machines on primary."""
    from infrastructure.services import inventory

    for name in NAMES:
        facts = ve_facts(name, state=VEState.STOPPED)
        cluster.primary.ves_by_uuid[facts.uuid] = facts
    inventory.refresh(cluster.rows["primary"])
    return list(VE.objects.select_related("node").filter(name__in=NAMES).order_by("name"))


def start(user: User | None, ves: list[VE], **options: Any) -> Task:
    values: dict[str, Any] = {"action": "start", "at_most": 10, "form": str(uuid.uuid4()), **options}
    return bulk.start_power(user=user, ves=ves, **values)  # type: ignore[arg-type]


def children_of(parent: Task) -> list[Task]:
    return list(parent.children.order_by("pk"))


def finish(parent: Task) -> Task:
    """Run the parent and then each child that gets its turn."""
    run(parent)
    while (child := parent.children.filter(state="queued").order_by("pk").first()) is not None:
        run(child)
    parent.refresh_from_db()
    return parent


def test_each_ve_gets_a_task_below_one_parent(ves: list[VE], operator: User) -> None:
    parent = finish(start(operator, ves))

    assert (parent.title, parent.object_name, parent.state) == ("Starting 4 VEs", "4 VEs", "completed")
    assert [(child.title, child.state) for child in children_of(parent)] == [
        (f"Starting {name}", "completed") for name in NAMES
    ]
    assert set(VE.objects.filter(name__in=NAMES).values_list("state", flat=True)) == {"running"}
    assert_invariants()


def test_no_more_run_at_once_than_was_said(ves: list[VE], operator: User) -> None:
    parent = start(operator, ves, at_most=2)
    run(parent)

    assert [child.state for child in children_of(parent)] == ["queued", "queued", "waiting", "waiting"]
    run(children_of(parent)[0])
    assert [child.state for child in children_of(parent)] == ["completed", "queued", "queued", "waiting"]


def test_what_waits_can_be_cancelled_while_what_runs_ends(ves: list[VE], operator: User) -> None:
    parent = start(operator, ves, at_most=1)
    run(parent)
    first = children_of(parent)[0]
    assert claim(first.pk, "worker") is not None

    cancel(parent, user=operator)

    states = [child.state for child in children_of(parent)]
    assert states == ["running", "cancelled", "cancelled", "cancelled"]


def test_one_that_fails_fails_alone(ves: list[VE], cluster: Cluster, operator: User) -> None:
    del cluster.primary.ves_by_uuid[str(ves[1].uuid)]

    parent = finish(start(operator, ves))

    assert [child.state for child in children_of(parent)] == ["completed", "failed", "completed", "completed"]
    assert parent.state == "warning"
    assert "vm2" in parent.reason


def test_one_that_was_removed_meanwhile_is_told_and_the_others_go_on(ves: list[VE], operator: User) -> None:
    parent = start(operator, ves)
    VE.objects.filter(name="vm3").delete()

    finish(parent)

    assert [child.title for child in children_of(parent)] == ["Starting vm1", "Starting vm2", "Starting vm4"]
    assert parent.state == "warning"


def test_the_dialog_sent_twice_starts_one_task(ves: list[VE], operator: User) -> None:
    form = str(uuid.uuid4())

    first = start(operator, ves, form=form)
    assert start(operator, ves, form=form).pk == first.pk
    finish(first)
    # Also when the first has ended already: a restart asked for once happens once.
    assert start(operator, ves, form=form).pk == first.pk
    assert Task.objects.filter(parent=None).count() == 1


def test_two_clicks_at_the_same_time_start_one_task(ves: list[VE], operator: User) -> None:
    form = str(uuid.uuid4())

    found = in_threads([lambda: start(operator, ves, form=form) for _ in range(4)])

    assert len({task.pk for task in found}) == 1, found
    assert Task.objects.count() == 1


def test_overlapping_selections_touch_each_ve_once_and_say_which_task_has_it(
    ves: list[VE], operator: User, make_user: Any
) -> None:
    other = make_user("other", Role.OPERATOR)
    first, second = start(operator, ves[:3]), start(other, ves[1:], action="force_off")
    run(first)
    run(second)

    holder = {child.object_name: child.pk for child in children_of(first)}
    refused = [child for child in children_of(second) if child.state == "failed"]
    assert [child.object_name for child in refused] == ["vm2", "vm3"]
    for child in refused:
        assert child.reason == f"{child.object_name} is being started (task {holder[child.object_name]})."
    open_tasks = Task.objects.filter(state="queued", parent__isnull=False)
    assert sorted(open_tasks.values_list("object_name", flat=True)) == list(NAMES)


def test_a_worker_killed_in_the_middle_leaves_no_ve_out_and_none_twice(
    ves: list[VE], operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = start(operator, ves)
    task = claim(parent.pk, "killed")
    assert task is not None
    # The children were committed, but the worker died before it said so.
    dead = TaskRun(task)
    with dead.step("Starting a task for each VE"):
        dead.start_children([power.as_child(action="start", ve=ve) for ve in ves], at_most=10)
    _reap(parent)

    finish(parent)

    assert [child.object_name for child in children_of(parent)] == list(NAMES)
    assert parent.state == "completed"
    assert_invariants()


def _reap(task: Task) -> None:
    """Take the task over, as the keeper does when a worker's heart has stopped."""
    task.refresh_from_db()
    assert take_over(task.pk, task.attempt, task.heartbeat, 0.0)
    task.refresh_from_db()
    assert (task.state, task.recovering) == ("queued", True)


def test_without_the_right_over_one_of_them_nothing_starts_and_the_attempt_is_written_down(
    ves: list[VE], cluster: Cluster, make_user: Any
) -> None:
    user = make_user("ana", Role.OPERATOR, ("node", cluster.rows["secondnode1"].pk))

    with pytest.raises(PermissionDenied):
        start(user, ves)

    assert not Task.objects.exists()
    refused = AuditRecord.objects.filter(action="bulk.start", result="refused")
    assert sorted(refused.values_list("target_name", flat=True)) == list(NAMES)


@pytest.mark.parametrize("over", ["node", "ve"])
def test_a_right_over_just_these_suffices(over: str, ves: list[VE], cluster: Cluster, make_user: Any) -> None:
    scope = ("node", cluster.rows["primary"].pk) if over == "node" else ("ve", ves[0].pk)
    user = make_user("ana", Role.OPERATOR, scope)

    parent = finish(start(user, ves if over == "node" else ves[:1]))

    assert parent.state == "completed"


def test_a_right_lost_meanwhile_starts_none(ves: list[VE], operator: User) -> None:
    parent = start(operator, ves)
    operator.role_bindings.all().delete()

    finish(parent)

    assert parent.state == "failed"
    assert not children_of(parent)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at_most": 0}, "0 at once"),
        ({"at_most": 51}, "51 at once"),
        ({"action": "stop", "force_after": 3601}, "Wait 1 to 60 min"),
        ({"ves": []}, "No VE is left"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], words: str, ves: list[VE], operator: User) -> None:
    with pytest.raises(InvalidInput, match=words):
        start(operator, **{"ves": ves, **options})


def test_a_migration_in_bulk_moves_each_to_its_own_target(ves: list[VE], cluster: Cluster, operator: User) -> None:
    third = make_node("secondnode2")
    second = cluster.rows["secondnode1"]
    moves = [Move(ves[0], second, live=False), Move(ves[1], third, live=False)]

    parent = bulk.start_migrations(user=operator, moves=moves, at_most=2)
    run(parent)

    assert parent.title == "Migrating 2 VEs"
    assert [child.place for child in children_of(parent)] == ["primary → secondnode1", "primary → secondnode2"]


def test_a_viewer_starts_nothing(ves: list[VE], viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        start(viewer, ves)
    assert not Task.objects.exists()
