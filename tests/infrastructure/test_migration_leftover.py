"""What a migration left on its target whose libvirtd hung at the switch: found by itself, removed by a task."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import Conflict, Unreachable
from infrastructure.drivers.facts import VEState, VEStatus
from infrastructure.models import Node
from infrastructure.services import inventory, migration
from infrastructure.services.migration import execution
from infrastructure.services.migration.leftover import clear_leftovers
from tasks.models import Task
from tasks.services import retry
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, lines_of, run


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("POLL_SECONDS", 0.01), ("SETTLE_SECONDS", 0.2), ("ABORT_SECONDS", 0.2)):
        monkeypatch.setattr(execution, name, seconds)


def leave(cluster: Cluster) -> None:
    """As libvirt does: the guest runs on where it was, the target keeps its definition."""
    running = cluster.primary.ves_by_uuid[VMTEST]
    cluster.secondnode1.ves_by_uuid[VMTEST] = replace(running, state=VEState.STOPPED, domain_id=None, autostart=False)


@pytest.fixture
def failed(cluster: Cluster) -> Task:
    """A migration whose target hung, which was still silent when the task ended; the node is back since."""

    def silent(uuid: str) -> VEStatus:
        raise Unreachable("secondnode1 does not answer")

    cluster.primary.fail("migrate", Unreachable("primary lost libvirtd on secondnode1", code="peer-unreachable"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster.secondnode1, "state", silent)
        task = run(start(cluster))
    assert task.state == "failed" and "does not answer" in task.reason
    leave(cluster)
    inventory.refresh(cluster.rows["secondnode1"])
    return task


def start(cluster: Cluster) -> Task:
    return migration.start(user=None, ve=cluster.vmtest, target=Node.objects.get(name="secondnode1"))


def test_it_is_removed_by_a_task_of_its_own(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    assert (task.title, task.initiator) == ("Removing what a failed migration of vmtest left on secondnode1", None)
    assert clear_leftovers() == []
    task = run(task)
    assert (task.state, task.reason) == ("completed", "")
    assert commands_of(task) == ["virsh -c qemu+tls://secondnode1.lab/system undefine vmtest"]
    assert VMTEST not in cluster.secondnode1.ves_by_uuid
    assert cluster.where() == ["primary"]
    assert clear_leftovers() == []


def test_a_retry_that_comes_first_removes_it_itself(cluster: Cluster, failed: Task) -> None:
    task = run(retry(user=None, task=failed))
    assert (task.state, task.reason) == ("completed", "")
    assert cluster.where() == ["secondnode1"]


def test_one_that_shows_before_the_task_has_ended_goes_with_its_undo(cluster: Cluster) -> None:
    def give_up() -> None:
        leave(cluster)
        raise Unreachable("primary lost libvirtd on secondnode1", code="peer-unreachable")

    cluster.primary.fail("migrate", give_up)
    task = run(start(cluster))
    assert task.state == "failed" and "is stopped on secondnode1" in task.reason
    assert VMTEST not in cluster.secondnode1.ves_by_uuid
    assert lines_of(task)[-1] == "vmtest runs on primary"


def not_by_a_migration(task: Task) -> None:
    Task.objects.all().delete()


def to_another_node(task: Task) -> None:
    Task.objects.update(params=task.params | {"target_id": 77})


def long_ago(task: Task) -> None:
    Task.objects.update(finished_at=timezone.now() - timedelta(hours=25))


def ended_by_its_checks(task: Task) -> None:
    task.steps.update(undo_name="")


def went_well(task: Task) -> None:
    Task.objects.update(state="completed")


@pytest.mark.parametrize(
    "otherwise",
    [not_by_a_migration, to_another_node, long_ago, ended_by_its_checks, went_well],
    ids=lambda it: it.__name__,
)
def test_what_no_migration_explains_is_left(cluster: Cluster, failed: Task, otherwise: Callable[[Task], None]) -> None:
    otherwise(failed)
    assert clear_leftovers() == []


@pytest.mark.parametrize("changes", [{"state": "unreachable"}, {"state": "refused"}])
def test_a_node_that_does_not_answer_is_not_asked(cluster: Cluster, failed: Task, changes: dict[str, Any]) -> None:
    Node.objects.filter(name="secondnode1").update(**changes)
    assert clear_leftovers() == []


def test_it_is_left_when_the_guest_has_stopped_meanwhile(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    cluster.show(cluster.primary, state=VEState.STOPPED)
    task = run(task)
    assert task.state == "failed" and "left as it is" in task.reason
    assert VMTEST in cluster.secondnode1.ves_by_uuid
    assert clear_leftovers() == []


def test_one_that_is_gone_already_is_said(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    del cluster.secondnode1.ves_by_uuid[VMTEST]
    task = run(task)
    assert task.state == "completed"
    assert any("already done" in line for line in lines_of(task))


def test_a_refusal_of_the_engine_is_told(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    cluster.secondnode1.fail("undefine", Conflict("vmtest is not stopped", advice="Shut it down first."))
    task = run(task)
    assert (task.state, task.advice) == ("failed", "Shut it down first.")
