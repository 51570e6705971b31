"""Undo: saved before the effect, run in reverse when the task does not succeed, dropped when it does."""

from typing import Any

import pytest

from tasks.errors import BadRequest, JobCancelled, JobFailed, UnknownJob
from tasks.models import Task, TaskStep
from tasks.reaper import take_over
from tasks.recovery import Recovery
from tasks.runner import TaskRun, execute
from tasks.services import cancel, enqueue, retry
from tests.tasks.helpers import log_of, move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Stands for kill -9: nothing in the worker runs any more."""


def two_effects(error: Exception | None) -> Any:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Making room"):
            run.undo("test.undo", what="room")
        with run.step("Copying"):
            run.undo("test.undo", what="copy")
            if error is not None:
                raise error

    return script


def undone(engine: Engine) -> list[str]:
    return [what for name, what in engine.calls if name == "undo"]


@pytest.mark.parametrize(
    ("error", "state"),
    [(JobFailed("No space."), "failed"), (JobCancelled("Cancelled by ana."), "cancelled"), (ValueError(), "errored")],
)
def test_what_does_not_succeed_is_undone_in_reverse(engine: Engine, error: Exception, state: str) -> None:
    engine.script = two_effects(error)
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert task.state == state
    assert undone(engine) == ["copy", "room"]
    assert log_of(task)[-3:] == [
        "[completed] Undoing what was done",
        "  [completed] Undoing: Copying",
        "  [completed] Undoing: Making room",
    ]
    assert set(TaskStep.objects.exclude(undo_name="").values_list("undo_state", flat=True)) == {"done"}


def test_on_success_the_undos_are_dropped(engine: Engine) -> None:
    engine.script = two_effects(None)
    execute(move().pk)
    assert undone(engine) == []
    assert set(TaskStep.objects.values_list("undo_state", flat=True)) == {"dropped"}


def test_an_undo_lies_in_the_database_before_the_effect(engine: Engine) -> None:
    seen: list[tuple[str, dict[str, Any], str]] = []

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copying"):
            run.undo("test.undo", what="copy")
            seen.extend(TaskStep.objects.values_list("undo_name", "undo_args", "undo_state"))

    engine.script = script
    execute(move().pk)
    assert seen == [("test.undo", {"what": "copy"}, "saved")]


def test_an_undo_that_fails_does_not_keep_the_others_from_running_and_is_said(engine: Engine) -> None:
    def take_back(run: TaskRun, *, what: str) -> None:
        if what == "copy":
            raise JobFailed("The node does not answer.")

    engine.script, engine.undo = two_effects(JobCancelled("Cancelled by ana.")), take_back
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert undone(engine) == ["copy", "room"]
    assert task.state == "failed"
    assert task.reason == "Cancelled by ana. Undoing was not complete: Copying: The node does not answer"
    assert "  error: Undoing failed. Copying: The node does not answer" in log_of(task)
    assert list(TaskStep.objects.exclude(undo_name="").values_list("undo_state", flat=True)) == ["done", "failed"]


def test_undoing_is_not_itself_cancelled(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copying") as step:
            run.undo("test.undo", what="copy")
            cancel(run.task)
            run.pen.looked_at = -1
            step.progress(1)

    def take_back(run: TaskRun, *, what: str) -> None:
        with run.step("Removing the copy") as step:
            step.progress(50)
            run.check_cancel()
        engine.calls.append(("removed", what))

    engine.script, engine.undo = script, take_back
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert ("removed", "copy") in engine.calls
    assert task.state == "cancelled"


def test_a_worker_killed_in_mid_step_leaves_its_undo_to_the_next(engine: Engine) -> None:
    engine.script = two_effects(Killed())  # type: ignore[arg-type]
    task = enqueue("test.start", params={"ve_id": 7}, title_args={"ve": "vmtest"})
    with pytest.raises(Killed):
        execute(task.pk)
    assert undone(engine) == []
    take_over(task.pk, 1, Task.objects.get().heartbeat, 10)
    execute(task.pk)
    task.refresh_from_db()
    assert undone(engine) == ["copy", "room"]
    assert (task.state, task.attempt) == ("lost", 2)
    assert engine.calls.count(("start", 7)) == 1, "without a recover function it is not executed again"


def test_a_worker_killed_while_undoing_is_followed_by_one_that_goes_on_undoing(engine: Engine) -> None:
    def take_back(run: TaskRun, *, what: str) -> None:
        if run.attempt == 1 and what == "room":
            raise Killed

    engine.script, engine.undo = two_effects(JobFailed("No space.", "Free some.")), take_back
    task = move()
    with pytest.raises(Killed):
        execute(task.pk)
    take_over(task.pk, 1, Task.objects.get().heartbeat, 10)
    execute(task.pk)
    task.refresh_from_db()
    assert engine.calls.count(("move", 7)) == 1, "what had failed is not run again"
    assert undone(engine) == ["copy", "room", "room"]
    assert (task.state, task.reason, task.advice) == ("failed", "No space.", "Free some.")


def test_an_attempt_that_is_taken_up_again_has_each_undo_once(engine: Engine) -> None:
    engine.script = two_effects(Killed())  # type: ignore[arg-type]
    engine.recovery = lambda run, **params: Recovery.resume()
    task = move()
    with pytest.raises(Killed):
        execute(task.pk)
    take_over(task.pk, 1, Task.objects.get().heartbeat, 10)
    engine.script = two_effects(JobFailed("No space."))
    execute(task.pk)
    assert undone(engine) == ["copy", "room"]


def test_a_step_that_was_undone_does_not_count_as_done_for_a_retry(engine: Engine) -> None:
    seen: list[bool] = []

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Making room") as step:
            seen.append(step.done_before)
            run.undo("test.undo", what="room")
        if run.attempt == 1:
            raise JobFailed("No.")

    engine.script = script
    task = move()
    execute(task.pk)
    retry(task)
    execute(task.pk)
    assert seen == [False, False]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.undo("test.undo", what="outside of any step"), BadRequest),
        (lambda run: _in_step(run, ("test.undo", {"wrong": 1})), BadRequest),
        (lambda run: _in_step(run, ("test.nothing", {})), UnknownJob),
        (lambda run: _in_step(run, ("test.undo", {"what": "a"}), ("test.undo", {"what": "b"})), BadRequest),
    ],
)
def test_an_undo_that_could_not_be_run_later_is_refused_when_it_is_saved(
    engine: Engine, call: Any, error: type[Exception]
) -> None:
    raised: list[type[BaseException]] = []

    def script(run: TaskRun, **params: Any) -> None:
        with pytest.raises(error) as caught:
            call(run)
        raised.append(caught.type)

    engine.script = script
    execute(move().pk)
    assert raised == [error]


def _in_step(run: TaskRun, *undos: tuple[str, dict[str, Any]]) -> None:
    with run.step("Step"):
        for name, args in undos:
            run.undo(name, **args)
