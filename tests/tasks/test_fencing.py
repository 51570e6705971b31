"""A worker that was thought dead and comes back can write nothing, whatever it tries."""

from collections.abc import Callable
from typing import Any

import pytest

from panel.accounts.models import User
from tasks.choices import State
from tasks.errors import Fenced
from tasks.models import Task, TaskLine, TaskStep
from tasks.reaper import take_over
from tasks.runner import TaskRun, claim, execute
from tests.tasks.helpers import log_of, move
from tests.tasks.jobs import Engine
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WRITES: dict[str, Callable[[TaskRun], Any]] = {
    "a line": lambda run: run.line("late"),
    "a step": lambda run: run.step("late").__enter__(),
    "a command": lambda run: run.command(["late"]),
    "a warning": lambda run: run.warn("late"),
    "an undo": lambda run: run.undo("test.undo", what="late"),
    "the point of no return": lambda run: run.point_of_no_return(),
    "a look at cancelling": lambda run: (setattr(run.pen, "looked_at", -1), run.check_cancel()),
    "a transaction of its own": lambda run: run.atomic().__enter__(),
    "children": lambda run: run.start_children([]),
    "phase": lambda run: run.phase("Copy"),
    "phase note": lambda run: run.phase_note("Copy", "soon"),
    "facts": lambda run: run.facts({"Channel": "TLS"}),
    "a heartbeat": lambda run: run.pen.beat(),
}


def taken_over(task: Task) -> None:
    """What the reaper does to a task whose worker it thinks dead."""
    task = Task.objects.get(pk=task.pk)
    assert take_over(task.pk, task.attempt, task.heartbeat, 10)


def snapshot() -> tuple[Any, ...]:
    return (
        list(Task.objects.values()),
        list(TaskStep.objects.order_by("pk").values()),
        list(TaskLine.objects.order_by("pk").values()),
    )


@pytest.mark.parametrize("then", ["still queued", "claimed again", "ended"])
@pytest.mark.parametrize("what", WRITES)
def test_the_old_worker_cannot_write(engine: Engine, what: str, then: str) -> None:
    task = move()
    claimed = claim(task.pk, "old")
    assert claimed is not None
    old = TaskRun(claimed)
    with pytest.raises(Fenced), old.step("Working"):
        taken_over(task)
        if then != "still queued":
            new = claim(task.pk, "new")
            assert new is not None and new.attempt == 2
        if then == "ended":
            Task.objects.filter(pk=task.pk).update(state=State.COMPLETED, finished_at=claimed.created_at)
            Task.objects.get().locks.all().delete()
        before = snapshot()
        WRITES[what](old)
    assert snapshot() == before
    assert old.pen.fenced


def test_the_old_worker_ends_silently_and_the_new_attempt_has_the_last_word(engine: Engine) -> None:
    def first(run: TaskRun, **params: Any) -> None:
        with run.step("Working") as step:
            step.line("begun")
            taken_over(run.task)
            engine.script = second
            execute(run.task.pk, worker="new")
            step.line("late")

    def second(run: TaskRun, **params: Any) -> None:
        with run.step("Working again"):
            pass

    engine.script = first
    task = move()
    execute(task.pk, worker="old")
    task.refresh_from_db()
    assert (task.state, task.attempt, task.worker) == ("completed", 2, "new")
    assert log_of(task) == [
        "[lost] Working",
        "  info: begun",
        "warning: The worker that ran attempt 1 gave no sign of life for 10 s; asking the engine what is true",
        "[completed] Asking the engine what is true",
        "  info: The work is not complete; it is taken up again",
        "[completed] Working again",
    ]


@pytest.mark.parametrize("swallow", [True, False])
def test_a_job_that_swallows_everything_still_cannot_end_the_task(engine: Engine, swallow: bool) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        taken_over(run.task)
        try:
            run.line("late")
        except Exception:
            if not swallow:
                raise ValueError("confused") from None

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, task.recovering, task.traceback) == ("queued", True, "")


@pytest.mark.parametrize("held_back", [True, False])
def test_progress_of_the_old_worker_does_not_abort_what_the_new_one_watches(engine: Engine, held_back: bool) -> None:
    """An exception out of a progress callback makes a driver abort the engine's job."""

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Migrating") as step:
            step.progress(0)
            taken_over(run.task)
            before = snapshot()
            for percent in range(3):
                run.pen.looked_at = -1
                step.figures._written_at = 1e9 if held_back else -1
                step.progress(percent)
            assert snapshot() == before
            engine.calls.append(("migrated", 7))

    engine.script = script
    task = move()
    execute(task.pk)
    assert engine.calls[-1] == ("migrated", 7)
    assert Task.objects.get().state == "queued"


def test_a_jobs_own_rows_are_fenced_with_the_log(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.atomic():
            User.objects.create(username="written in time")
        taken_over(run.task)
        with run.atomic():
            User.objects.create(username="written late")

    engine.script = script
    execute(move().pk)
    assert list(User.objects.values_list("username", flat=True)) == ["written in time"]


def test_the_heartbeat_tells_the_job_that_it_is_over(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import heartbeat

    monkeypatch.setattr(heartbeat, "EVERY", 0.02)

    def script(run: TaskRun, **params: Any) -> None:
        taken_over(run.task)
        eventually(lambda: run.pen.fenced)
        engine.calls.append(("fenced", run.pen.fenced))
        run.check_cancel()
        engine.calls.append(("went on", True))

    engine.script = script
    execute(move().pk)
    assert engine.calls == [("move", 7), ("fenced", True)]
