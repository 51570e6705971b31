"""Retry: another attempt of the same task, with its locks taken again and the rights of who asks."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.errors import JobFailed, NotPossible, TaskConflict
from tasks.models import Task, TaskLock
from tasks.runner import TaskRun, execute
from tasks.services import cancel, enqueue, retry
from tests.tasks.helpers import copy, in_threads, log_of, move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def failed(engine: Engine) -> Task:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Checking"):
            raise JobFailed("No memory.", "Free some.")

    engine.script = script
    task = move()
    execute(task.pk)
    engine.script = lambda run, **params: None
    return Task.objects.get(pk=task.pk)


def test_a_retry_is_a_new_attempt_below_the_log_of_the_first(engine: Engine, operator: User, sent: Any) -> None:
    task = failed(engine)
    sent.clear()
    again = retry(task, operator)
    assert again.pk == task.pk
    assert (again.state, again.reason, again.advice, again.finished_at) == ("queued", "", "", None)
    assert again.initiator == operator
    assert sent == [(task.pk, "migrate")]
    assert TaskLock.objects.get().task == task
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, task.attempt) == ("completed", 2)
    assert log_of(task) == ["[failed] Checking", "  error: No memory.", "info: Attempt 2 asked for by operator"]
    assert AuditRecord.objects.filter(action="test.move (retry)", result="ok").count() == 1


def test_a_cancelled_task_can_be_tried_again_without_being_cancelled_again(engine: Engine) -> None:
    task = cancel(move())
    retry(task)
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, task.cancelled_by) == ("completed", "")


def test_a_retry_is_refused_while_another_task_holds_the_lock(engine: Engine) -> None:
    task = failed(engine)
    other = enqueue("test.start", params={"ve_id": 7}, title_args={"ve": "vmtest"})
    with pytest.raises(TaskConflict) as refusal:
        retry(task)
    assert refusal.value.task == other
    assert Task.objects.get(pk=task.pk).state == "failed"


@pytest.mark.parametrize("state", ["queued", "running", "completed", "warning", "waiting"])
def test_only_what_did_not_succeed_can_be_tried_again(state: str) -> None:
    task = move()
    TaskLock.objects.all().delete()
    Task.objects.update(state=state, finished_at=task.created_at)
    with pytest.raises(NotPossible):
        retry(task)


def test_a_kind_may_rule_retries_out(engine: Engine) -> None:
    def script(run: TaskRun) -> None:
        raise JobFailed("No.")

    engine.script = script
    task = enqueue("test.once")
    execute(task.pk)
    with pytest.raises(NotPossible):
        retry(task)


def test_a_viewer_may_not_retry(engine: Engine, viewer: User) -> None:
    task = failed(engine)
    with pytest.raises(PermissionDenied):
        retry(task, viewer)
    assert Task.objects.get().state == "failed"


def test_many_retries_at_once_are_one(engine: Engine, sent: Any) -> None:
    task = failed(engine)
    sent.clear()
    results = in_threads([lambda: retry(task)] * 8)
    assert sum(isinstance(result, Task) for result in results) == 1
    assert sent == [(task.pk, "migrate")]


def test_a_retry_waits_for_its_lane(engine: Engine) -> None:
    first = cancel(copy(1))
    copy(2)
    copy(3)
    again = retry(first)
    assert (again.state, again.waiting_for) == ("waiting", "Waits for 2 copies out of node 1")
