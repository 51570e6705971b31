"""Phases, facts and the note for cancelling: what a job tells the page besides its log."""

from typing import Any

import pytest

from tasks import phases
from tasks.errors import BadRequest, Fenced, JobFailed
from tasks.models import Task
from tasks.runner import TaskRun, claim, execute
from tasks.services import retry
from tests.tasks.helpers import move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def states(task: Task) -> list[tuple[str, str]]:
    task.refresh_from_db()
    return [(phase.name, phase.state) for phase in phases.shown(task)]


def test_a_task_that_waits_shows_all_its_phases_ahead() -> None:
    assert states(move()) == [("Prepare", "waiting"), ("Copy", "waiting"), ("Clean up", "waiting")]


def test_entering_a_phase_ends_those_before_it(engine: Engine) -> None:
    seen: list[Any] = []

    def script(run: TaskRun, **params: Any) -> None:
        run.phase("Prepare")
        run.phase("Copy", "Iteration 1")
        run.phase_note("Clean up", "takes a moment")
        run.phase("Copy", "Iteration 2")
        run.task.refresh_from_db()
        seen.extend((phase.name, phase.state, phase.note) for phase in phases.shown(run.task))

    engine.script = script
    task = move()
    execute(task.pk)

    assert seen == [
        ("Prepare", "done", ""), ("Copy", "now", "Iteration 2"), ("Clean up", "waiting", "takes a moment"),
    ]  # fmt: skip
    assert states(task) == [("Prepare", "done"), ("Copy", "done"), ("Clean up", "skipped")]


def test_an_attempt_that_takes_the_task_up_again_does_not_go_back(engine: Engine) -> None:
    task = move()
    first = TaskRun(claim(task.pk, "w") or task)
    first.phase("Prepare")
    first.phase("Copy")
    before = Task.objects.get(pk=task.pk).phases
    Task.objects.filter(pk=task.pk).update(state="queued")
    second = TaskRun(claim(task.pk, "w") or task)
    second.phase("Prepare")
    second.phase("Copy")

    assert Task.objects.get(pk=task.pk).phases == before
    with pytest.raises(Fenced):
        first.phase("Clean up")
    Task.objects.filter(pk=task.pk).update(state="queued")
    execute(task.pk)


def test_a_phase_that_the_job_does_not_declare_is_a_bug(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with pytest.raises(BadRequest):
            run.phase("Cpoy")

    engine.script = script
    task = move()
    execute(task.pk)
    assert states(task)[0] == ("Prepare", "skipped")


def test_the_phase_in_which_it_failed_is_told_and_a_retry_begins_with_fresh_ones(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        run.phase("Copy")
        raise JobFailed("No.")

    engine.script = script
    task = move()
    execute(task.pk)
    assert states(task) == [("Prepare", "skipped"), ("Copy", "failed"), ("Clean up", "skipped")]

    retry(task)
    assert {state for _, state in states(task)} == {"waiting"}


def test_facts_are_kept_in_their_order_and_may_change(engine: Engine) -> None:
    engine.script = lambda run, **params: run.facts({"Channel": "TLS", "Mode": "Offline"})
    task = move(facts={"Mode": "Live", "Pause limit": "300 ms"})
    execute(task.pk)
    task.refresh_from_db()

    assert task.facts == [["Mode", "Offline"], ["Pause limit", "300 ms"], ["Channel", "TLS"]]


def test_the_note_for_cancelling_names_the_object() -> None:
    assert move(name="vmtest").cancel_note == "vmtest stays where it is."


def test_what_a_phase_came_to_is_told_although_it_was_over_before_it_was_seen(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        run.phase("Prepare")
        run.phase_note("Copy", "Paused for 387 ms")
        run.phase("Clean up")

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()

    assert [(phase.state, phase.note) for phase in phases.shown(task)][1] == ("skipped", "Paused for 387 ms")
