"""Cancelling: at once before a worker began, at the next look after it."""

import time
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.choices import State
from tasks.errors import JobCancelled, NotPossible
from tasks.models import Task, TaskLock
from tasks.runner import TaskRun, claim, execute
from tasks.services import cancel
from tests.tasks.helpers import copy, in_threads, log_of, move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_queued_task_ends_at_once_and_its_message_finds_nothing(engine: Engine, operator: User) -> None:
    task = cancel(move(), operator)
    assert (task.state, task.reason) == ("cancelled", "Cancelled by operator before it began.")
    assert not TaskLock.objects.exists()
    execute(task.pk)
    assert engine.calls == []


def test_a_waiting_task_ends_at_once(engine: Engine) -> None:
    tasks = [copy(number) for number in range(3)]
    assert tasks[2].state == "waiting"
    assert cancel(tasks[2]).state == "cancelled"


def test_a_running_task_stops_at_its_next_step(engine: Engine, operator: User) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("One"):
            cancel(run.task, operator)
        with run.step("Two"):
            engine.calls.append(("two", 2))

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, task.reason) == ("cancelled", "Cancelled by operator.")
    assert log_of(task) == ["[completed] One"]


def test_progress_raises_so_that_the_driver_aborts_the_engines_job(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Migrating") as step:
            step.progress(1)
            cancel(run.task)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    step.progress(2)
                except JobCancelled:
                    engine.calls.append(("aborted", 7))
                    raise
                time.sleep(0.01)

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert engine.calls[-1] == ("aborted", 7)
    assert (task.state, log_of(task)) == ("cancelled", ["[cancelled] Migrating"])


def test_past_the_point_of_no_return_the_task_completes(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Migrating") as step:
            cancel(run.task)
            run.point_of_no_return()
            step.progress(99)
            run.pen.looked_at = -1
            run.check_cancel()
        with run.step("Recording"):
            pass

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert task.state == "completed"
    assert log_of(task)[-1] == "info: The request to cancel came too late: the work was done"


def test_past_the_point_of_no_return_cancelling_is_refused_with_the_reason(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        run.point_of_no_return()
        with pytest.raises(NotPossible, match="past the point"):
            cancel(run.task)

    engine.script = script
    execute(move().pk)
    assert AuditRecord.objects.get(action="task.cancel").result == "refused"


def test_a_task_that_has_ended_cannot_be_cancelled() -> None:
    task = move()
    execute(task.pk)
    with pytest.raises(NotPossible, match="has ended already"):
        cancel(task)


def test_a_viewer_may_not_cancel_and_the_attempt_is_written_down(viewer: User) -> None:
    task = move()
    with pytest.raises(PermissionDenied):
        cancel(task, viewer)
    assert Task.objects.get().state == "queued"
    assert AuditRecord.objects.get(action="task.cancel").result == "refused"


def test_a_task_taken_over_from_a_dead_worker_is_not_ended_without_asking_the_engine(engine: Engine) -> None:
    from tasks.reaper import take_over
    from tasks.recovery import Recovery

    task = move()
    claimed = claim(task.pk, "old")
    assert claimed is not None
    take_over(task.pk, 1, 1, 10)
    assert cancel(task).state == State.QUEUED
    engine.recovery = lambda run, **params: Recovery.completed()
    execute(task.pk)
    task.refresh_from_db()
    assert task.state == "completed", "the engine had finished before anybody asked to cancel"


def test_cancelling_and_claiming_at_once_leaves_one_truth(engine: Engine) -> None:
    for number in range(10):
        task = move(number)
        in_threads([lambda task=task: execute(task.pk), lambda task=task: cancel(task)])
        task.refresh_from_db()
        ran = ("move", number) in engine.calls
        assert task.state in (("completed", "cancelled") if ran else ("cancelled",))
