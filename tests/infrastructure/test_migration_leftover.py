"""What a migration left on its target whose libvirtd hung at the switch: found by itself, removed by a task."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from infrastructure.drivers.base import Conflict, Unreachable
from infrastructure.drivers.facts import VEState, VEStatus
from infrastructure.jobs import clear
from infrastructure.models import VE, Leftover, Node
from infrastructure.services import inventory, migration, power
from infrastructure.services.migration import execution
from infrastructure.services.migration.leftover import clear_leftovers
from panel.audit.models import AuditRecord
from tasks.models import Task
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, lines_of, run


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("POLL_SECONDS", 0.01), ("SETTLE_SECONDS", 2.0), ("ABORT_SECONDS", 2.0)):
        monkeypatch.setattr(execution, name, seconds)
    monkeypatch.setattr(clear, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(clear, "SETTLE_SECONDS", 2.0)


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
    assert task.title == "Clearing what a failed migration of vmtest may have left on secondnode1"
    assert task.initiator is None
    assert clear_leftovers() == []
    task = run(task)
    assert (task.state, task.reason) == ("completed", "")
    assert commands_of(task) == ["virsh -c qemu+tls://secondnode1.lab/system undefine vmtest"]
    assert VMTEST not in cluster.secondnode1.ves_by_uuid
    assert cluster.where() == ["primary"]
    assert clear_leftovers() == [] and not Leftover.objects.exists()


def test_a_target_that_kept_nothing_is_looked_at_once(cluster: Cluster, failed: Task) -> None:
    del cluster.secondnode1.ves_by_uuid[VMTEST]
    (task,) = clear_leftovers()
    task = run(task)
    assert (task.state, commands_of(task)) == ("completed", [])
    assert any("already done" in line for line in lines_of(task))
    leave(cluster)  # now it is somebody's own
    assert clear_leftovers() == []
    assert "undefine" not in cluster.secondnode1.calls


def test_a_daemon_that_still_goes_on_is_waited_for(cluster: Cluster, failed: Task) -> None:
    waiting = replace(cluster.primary.ves_by_uuid[VMTEST], state=VEState.PAUSED, reason="migration")
    cluster.secondnode1.ves_by_uuid[VMTEST] = waiting
    looks = iter(range(99))
    cluster.secondnode1.fail("state", lambda: leave(cluster) if next(looks) == 2 else None, times=5)
    (task,) = clear_leftovers()
    assert run(task).state == "completed"
    assert VMTEST not in cluster.secondnode1.ves_by_uuid


def test_a_retry_that_comes_first_removes_it_itself(cluster: Cluster, failed: Task) -> None:
    task = run(retry(user=None, task=failed))
    assert (task.state, task.reason) == ("completed", "")
    assert cluster.where() == ["secondnode1"]
    assert clear_leftovers() == [] and not Leftover.objects.exists()


def test_a_migration_that_finds_the_target_without_it_expects_nothing_more(cluster: Cluster, failed: Task) -> None:
    del cluster.secondnode1.ves_by_uuid[VMTEST]
    assert run(retry(user=None, task=failed)).state == "completed"
    assert not Leftover.objects.exists()


def test_one_that_shows_before_the_task_has_ended_goes_with_its_undo(cluster: Cluster) -> None:
    def give_up() -> None:
        leave(cluster)
        raise Unreachable("primary lost libvirtd on secondnode1", code="peer-unreachable")

    cluster.primary.fail("migrate", give_up)
    task = run(start(cluster))
    assert task.state == "failed" and "is stopped on secondnode1" in task.reason
    assert VMTEST not in cluster.secondnode1.ves_by_uuid
    assert lines_of(task)[-1] == "secondnode1 has forgotten its definition; vmtest runs on primary"
    assert not Leftover.objects.exists()


def test_a_definition_of_somebodys_own_is_never_touched(cluster: Cluster) -> None:
    def cancelled() -> None:
        raise Conflict("The job was aborted")

    cluster.primary.fail("migrate", cancelled)
    task = run(start(cluster))  # the target answered and had nothing: nothing is expected there
    leave(cluster)
    inventory.refresh(cluster.rows["secondnode1"])
    assert clear_leftovers() == []
    task = run(retry(user=None, task=task))
    assert task.state == "failed" and "secondnode1 has vmtest too (stopped)" in task.reason
    assert VMTEST in cluster.secondnode1.ves_by_uuid


def silent(cluster: Cluster) -> None:
    Node.objects.filter(name="secondnode1").update(state="unreachable")


def not_heard_of_since(cluster: Cluster) -> None:
    Leftover.objects.update(since=timezone.now())


def paused(cluster: Cluster) -> None:
    VE.objects.update(state="paused")


def there_by_now(cluster: Cluster) -> None:
    VE.objects.update(node=Node.objects.get(name="secondnode1"))


def long_ago(cluster: Cluster) -> None:
    Leftover.objects.update(since=timezone.now() - timedelta(hours=25))


@pytest.mark.parametrize(
    "otherwise", [silent, not_heard_of_since, paused, there_by_now, long_ago], ids=lambda it: it.__name__
)
def test_nothing_is_started_while_the_look_could_tell_nothing(
    cluster: Cluster, failed: Task, otherwise: Callable[[Cluster], None]
) -> None:
    otherwise(cluster)
    assert clear_leftovers() == []


def test_other_work_on_the_ve_goes_first_and_leaves_no_trace_in_the_audit(cluster: Cluster, failed: Task) -> None:
    stopping = power.stop(user=None, ve=cluster.vmtest)
    before = AuditRecord.objects.count()
    assert clear_leftovers() == []
    assert AuditRecord.objects.count() == before
    cancel(stopping)
    assert len(clear_leftovers()) == 1


def test_one_that_could_not_find_out_is_followed_by_another(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    cluster.show(cluster.primary, state=VEState.STOPPED)
    task = run(task)
    assert task.state == "failed" and "left as it is" in task.reason
    assert VMTEST in cluster.secondnode1.ves_by_uuid
    cluster.show(cluster.primary, state=VEState.RUNNING)
    assert clear_leftovers() == []
    Task.objects.filter(pk=task.pk).update(created_at=timezone.now() - timedelta(minutes=11))
    assert len(clear_leftovers()) == 1


def test_a_refusal_of_the_engine_is_told(cluster: Cluster, failed: Task) -> None:
    (task,) = clear_leftovers()
    cluster.secondnode1.fail("undefine", Conflict("vmtest is not stopped", advice="Shut it down first."))
    task = run(task)
    assert (task.state, task.advice) == ("failed", "Shut it down first.")
    assert Leftover.objects.exists()
