"""The reaper: a dead worker's task is taken over, asks the engine and ends; a living one is left alone."""

from contextlib import suppress
from typing import Any

import pytest
import time_machine
from django.db import OperationalError

from tasks.choices import State
from tasks.errors import JobFailed
from tasks.models import Task, TaskStep
from tasks.reaper import Reaper, take_over
from tasks.recovery import Recovery
from tasks.runner import MOST_RECOVERIES, TaskRun, claim, execute
from tests.tasks.helpers import log_of, move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reaper(clock: Clock) -> Reaper:
    return Reaper(clock, after=10)


def running() -> TaskRun:
    claimed = claim(move().pk, "worker-1")
    assert claimed is not None
    return TaskRun(claimed)


def look(reaper: Reaper, clock: Clock, seconds: int, beats: TaskRun | None = None) -> list[int]:
    """A look each second; with `beats` this worker counts its heartbeat every two."""
    reaped: list[int] = []
    for second in range(seconds):
        clock.now += 1
        if beats is not None and second % 2 == 0:
            beats.pen.beat()
        reaped += reaper.look()
    return reaped


def test_a_worker_without_a_sign_of_life_for_ten_seconds_is_dead(reaper: Reaper, clock: Clock, sent: Any) -> None:
    run = running()
    with pytest.raises(KeyboardInterrupt), run.step("Migrating"):
        raise KeyboardInterrupt
    sent.clear()
    assert look(reaper, clock, 10) == []
    assert look(reaper, clock, 1) == [run.task.pk]
    task = Task.objects.get()
    assert (task.state, task.recovering, task.attempt) == ("queued", True, 1)
    assert sent == [(task.pk, "migrate")]
    assert log_of(task) == [
        "[lost] Migrating",
        "warning: The worker that ran attempt 1 gave no sign of life for 10 s; asking the engine what is true",
    ]


def test_a_worker_that_beats_is_left_alone(reaper: Reaper, clock: Clock) -> None:
    run = running()
    assert look(reaper, clock, 60, beats=run) == []


def test_a_jump_of_the_wall_clock_reaps_nobody(reaper: Reaper, clock: Clock) -> None:
    run = running()
    with time_machine.travel("2030-01-01", tick=False) as wall:
        for hours in (1, -3, 8760):
            wall.shift(hours * 3600)
            assert look(reaper, clock, 4, beats=run) == []
            assert take_over(run.task.pk, 1, 0, 10) is False


def test_a_fresh_keeper_observes_anew(reaper: Reaper, clock: Clock) -> None:
    running()
    look(reaper, clock, 9)
    assert look(Reaper(clock, after=10), clock, 9) == []


def test_time_in_which_the_keeper_could_not_look_does_not_count(reaper: Reaper, clock: Clock) -> None:
    """The database was away, or the keeper stopped: no worker could be seen to beat."""
    run = running()
    look(reaper, clock, 2, beats=run)
    clock.now += 300
    assert reaper.look() == []
    assert look(reaper, clock, 3, beats=run) == []


def test_a_worker_that_stirs_at_the_last_moment_keeps_its_task(clock: Clock) -> None:
    run = running()
    seen = Task.objects.get().heartbeat
    run.pen.beat()
    assert take_over(run.task.pk, 1, seen, 10) is False
    assert Task.objects.get().state == "running"


def test_what_the_engine_finished_is_completed_not_failed(engine: Engine) -> None:
    run = running()
    take_over(run.task.pk, 1, run.task.heartbeat + 1, 10)
    engine.recovery = lambda run, **params: Recovery.completed()
    execute(run.task.pk, "worker-2")
    task = Task.objects.get()
    assert (task.state, task.attempt, engine.calls) == ("completed", 2, [])
    assert log_of(task)[-2:] == ["[completed] Asking the engine what is true", "  info: The work was completed"]


def test_what_the_engine_did_not_do_is_failed_with_the_cause(engine: Engine) -> None:
    run = running()
    with pytest.raises(KeyboardInterrupt), run.step("Migrating"):
        run.undo("test.undo", what="target")
        raise KeyboardInterrupt
    take_over(run.task.pk, 1, run.task.heartbeat + 1, 10)
    engine.recovery = lambda run, **params: Recovery.failed("vmtest is still on primary.", "Retry the task.")
    execute(run.task.pk)
    task = Task.objects.get()
    assert (task.state, task.reason, task.advice) == ("failed", "vmtest is still on primary.", "Retry the task.")
    assert engine.calls == [("undo", "target")]


def test_recover_gets_the_parameters_and_may_fail_like_a_job(engine: Engine) -> None:
    run = running()
    take_over(run.task.pk, 1, run.task.heartbeat + 1, 10)
    asked: list[dict[str, Any]] = []

    def recovery(run: TaskRun, **params: Any) -> Recovery:
        asked.append(params)
        raise JobFailed("Neither node answers.", "Bring one up.")

    engine.recovery = recovery
    execute(run.task.pk)
    assert asked == [{"ve_id": 7, "live": True}]
    assert Task.objects.get().reason == "Neither node answers."


def test_a_worker_that_dies_while_it_asks_the_engine_is_followed_by_one_that_asks_again(engine: Engine) -> None:
    run = running()
    take_over(run.task.pk, 1, run.task.heartbeat + 1, 10)

    def dies(run: TaskRun, **params: Any) -> Recovery:
        raise KeyboardInterrupt

    engine.recovery = dies
    with pytest.raises(KeyboardInterrupt):
        execute(run.task.pk)
    take_over(run.task.pk, 2, Task.objects.get().heartbeat, 10)
    engine.recovery = lambda run, **params: Recovery.completed()
    execute(run.task.pk)
    assert Task.objects.get().state == "completed"


def test_a_task_that_kills_every_worker_is_not_resumed_for_ever(engine: Engine) -> None:
    def dies(run: TaskRun, **params: Any) -> None:
        with run.step("Dying"):
            raise KeyboardInterrupt

    engine.script = dies
    task = move()
    for attempt in range(1, MOST_RECOVERIES + 1):
        with pytest.raises(KeyboardInterrupt):
            execute(task.pk)
        assert take_over(task.pk, attempt, Task.objects.get().heartbeat, 10)
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, task.reason) == ("lost", f"Its worker died {MOST_RECOVERIES} times.")
    assert engine.calls.count(("move", 7)) == MOST_RECOVERIES


def test_a_task_that_also_kills_those_who_ask_what_is_true_is_ended_by_the_keeper(engine: Engine) -> None:
    def dies(run: TaskRun, **params: Any) -> Any:
        raise KeyboardInterrupt

    engine.script = engine.recovery = dies
    task = move()
    for attempt in range(1, MOST_RECOVERIES + 3):
        with pytest.raises(KeyboardInterrupt):
            execute(task.pk)
        assert take_over(task.pk, attempt, Task.objects.get().heartbeat, 10)
    assert Task.objects.get().state == State.LOST
    assert not TaskStep.objects.filter(state="running").exists()


def test_a_task_that_ended_meanwhile_is_not_taken_over(clock: Clock, reaper: Reaper) -> None:
    run = running()
    look(reaper, clock, 9)
    Task.objects.update(state="completed", finished_at=run.task.created_at)
    run.task.locks.all().delete()
    assert look(reaper, clock, 5) == []


def test_time_in_which_nothing_could_be_written_does_not_count(clock: Clock, sent: Any) -> None:
    waits = [0.0] * 8 + [20.0]

    def write() -> None:
        clock.now += waits.pop(0) if waits else 0.0

    reaper = Reaper(clock, after=10, write=write)
    run = running()
    assert look(reaper, clock, 8) == []
    assert look(reaper, clock, 9) == [], "the database was locked for 20 s: the worker could not have beaten"
    assert look(reaper, clock, 3) == [run.task.pk], "but then it had its chance"


def test_a_database_that_takes_no_row_reaps_nobody_when_it_takes_them_again(clock: Clock, sent: Any) -> None:
    full = False

    def write() -> None:
        if full:
            raise OperationalError("database or disk is full")

    reaper = Reaper(clock, after=10, write=write)
    running()
    assert look(reaper, clock, 8) == []
    full = True
    for _ in range(30):
        with suppress(OperationalError):
            assert look(reaper, clock, 1) == []
    full = False
    assert look(reaper, clock, 9) == [], "the worker has not had its chance to beat"
