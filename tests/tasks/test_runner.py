"""One attempt: its steps, lines and progress, and each way in which it can end."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from panel.accounts.models import User
from tasks import progress
from tasks.errors import JobFailed
from tasks.models import Task, TaskLine, TaskLock, TaskStep
from tasks.runner import TaskRun, execute
from tasks.text import Secret
from tests.tasks.helpers import log_of, move, state_of
from tests.tasks.jobs import Engine, EngineDown, SourceDown
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def run(task: Task) -> Task:
    execute(task.pk, worker="test")
    task.refresh_from_db()
    return task


def test_steps_nest_and_the_log_is_in_the_order_of_what_happened(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Checking secondnode1") as step:
            step.line("memory is enough")
        with run.step("Migrate Virtual Environment vmtest") as step:
            step.command(["virsh", "migrate", "--live", "vm test"])
            with step.step("Copying memory") as inner:
                inner.lines(["first pass", "second pass"])
            step.line("finished")
        run.line("all done")

    engine.script = script
    task = run(move())
    assert log_of(task) == [
        "[completed] Checking secondnode1",
        "  info: memory is enough",
        "[completed] Migrate Virtual Environment vmtest",
        "  command: virsh migrate --live 'vm test'",
        "  [completed] Copying memory",
        "    info: first pass",
        "    info: second pass",
        "  info: finished",
        "info: all done",
    ]
    assert (task.state, task.attempt, task.worker) == ("completed", 1, "test")
    assert task.started_at and task.finished_at
    assert not TaskLock.objects.exists()


def test_every_write_has_a_revision_of_its_own(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("One") as step:
            for number in range(5):
                step.line(f"line {number}")

    engine.script = script
    task = run(move())
    revs = list(TaskLine.objects.order_by("seq").values_list("rev", flat=True))
    assert revs == sorted(set(revs))
    assert TaskStep.objects.get().rev > revs[-1], "closing the step is news after its lines"
    assert task.rev > TaskStep.objects.get().rev


def test_lines_from_many_threads_are_all_there_once(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Busy") as step:
            threads = [
                threading.Thread(target=lambda n=n: [step.line(f"{n}-{i}") for i in range(20)]) for n in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    engine.script = script
    run(move())
    texts = list(TaskLine.objects.values_list("text", flat=True))
    assert sorted(texts) == sorted(f"{n}-{i}" for n in range(4) for i in range(20))


def test_a_warning_is_an_outcome_of_its_own(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Outer"), run.step("Inner"):
            run.warn("The guest agent did not answer.")

    engine.script = script
    task = run(move())
    assert (task.state, task.reason) == ("warning", "The guest agent did not answer.")
    assert log_of(task) == [
        "[warning] Outer",
        "  [warning] Inner",
        "    warning: The guest agent did not answer.",
    ]


@pytest.mark.parametrize(
    "error",
    [
        JobFailed("No memory.", "Free some."),
        EngineDown("No memory.", "Free some."),
        SourceDown("No memory.", "Free some."),
    ],
)
def test_an_expected_error_is_a_failure_with_a_cause_and_a_next_step(engine: Engine, error: Exception) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Outer"), run.step("Inner"):
            raise error

    engine.script = script
    task = run(move())
    assert (task.state, task.reason, task.advice, task.traceback) == ("failed", "No memory.", "Free some.", "")
    assert log_of(task) == ["[failed] Outer", "  [failed] Inner", "    error: No memory."]
    assert not TaskLock.objects.exists()


def test_a_bug_is_an_error_of_mooring_whose_traceback_is_kept(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Outer"):
            run.command(["tool", Secret("hunter22")])
            raise KeyError("hunter22 was not found")

    engine.script = script
    task = run(move())
    assert task.state == "errored"
    assert "KeyError" in task.reason
    assert "test_runner.py" in task.traceback
    assert "hunter22" not in task.traceback + task.reason + " ".join(log_of(task))


def test_a_kind_that_is_gone_is_an_error_not_a_task_for_ever(engine: Engine) -> None:
    task = move()
    Task.objects.update(kind="test.gone")
    assert run(task).state == "errored"


def test_progress_is_written_at_most_twice_a_second_and_the_last_value_always(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    written: list[int | None] = []
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    store = progress.Progress._store
    monkeypatch.setattr(
        progress.Progress,
        "_store",
        lambda self, stamp, shown, *rest: (written.append(shown[0]), store(self, stamp, shown, *rest)),
    )

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copy") as step:
            for percent in range(100):
                now[0] += 0.01
                step.progress(percent, f"{percent} of 100", rate_mib=percent / 2)

    engine.script = script
    task = run(move())
    assert written == [0, 50, 99]
    step = TaskStep.objects.get()
    assert (step.progress, step.note) == (99, "99 of 100")
    assert task.figures == {"rate_mib": 49.5}
    assert task.progress == 100, "a completed task is complete"


def test_figures_that_no_database_can_store_do_not_fail_the_task(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copy") as step:
            step.progress(200, "x" * 999, rate_mib=float("inf"), left=float("nan"), to=("a", 1), name="a\x00b")

    engine.script = script
    task = run(move())
    assert task.state == "completed"
    assert task.figures == {"rate_mib": None, "left": None, "to": "('a', 1)", "name": "ab"}


def test_progress_from_an_engines_thread_after_the_step_has_ended_changes_nothing(engine: Engine) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copy") as step:
            step.progress(100, "done")
        time.sleep(0.3)
        step.progress(50, "late")

    engine.script = script
    run(move())
    assert TaskStep.objects.get().note == "done"


def test_a_message_delivered_twice_runs_once(engine: Engine) -> None:
    task = move()
    run(task)
    run(task)
    assert engine.calls == [("move", 7)]
    assert task.attempt == 1


def test_a_message_delivered_twice_at_once_runs_once(engine: Engine) -> None:
    from tests.tasks.helpers import in_threads

    engine.script = lambda run, **params: time.sleep(0.2)
    task = move()
    in_threads([lambda: execute(task.pk)] * 6)
    assert engine.calls == [("move", 7)]
    assert state_of(task) == "completed"


def test_the_right_is_asked_again_before_the_job_runs(engine: Engine, operator: User) -> None:
    task = move(user=operator)
    operator.role_bindings.all().delete()
    run(task)
    assert (task.state, engine.calls) == ("failed", [])
    assert "operator no longer holds the permission ve.migrate" in task.reason


def test_the_task_of_a_deleted_account_does_not_run_as_mooring(engine: Engine, operator: User) -> None:
    task = move(user=operator)
    operator.delete()
    assert (run(task).state, engine.calls) == ("failed", [])


def test_a_scoped_right_is_enough_for_a_task_about_that_part(engine: Engine, make_user: Any) -> None:
    class Thing:
        pk, _meta = 7, User._meta

        def scopes(self) -> set[tuple[str, int]]:
            return {("ve", 7)}

    task = move(user=make_user("ana", "operator", ("ve", 7)), permission_object=Thing())
    assert run(task).state == "completed"


def test_a_step_of_a_retry_learns_that_it_was_completed_before_and_may_say_so(engine: Engine) -> None:
    from tasks.services import retry

    seen: list[bool] = []

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copying the disk") as step:
            seen.append(step.done_before)
            if step.done_before:
                step.already_done("the disk is on secondnode1")
        with run.step("Starting"):
            if run.attempt == 1:
                raise JobFailed("No memory.")

    engine.script = script
    task = run(move())
    retry(task)
    task.refresh_from_db()
    run(task)
    assert seen == [False, True]
    assert task.state == "completed"
    assert log_of(task)[-4:] == [
        "info: Attempt 2 asked for by Mooring",
        "[completed] Copying the disk",
        "  info: already done: the disk is on secondnode1",
        "[completed] Starting",
    ]


def test_a_held_back_progress_is_written_by_the_heartbeat(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import heartbeat

    monkeypatch.setattr(heartbeat, "EVERY", 0.05)

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copy") as step:
            step.progress(1)
            step.progress(2)
            eventually(lambda: TaskStep.objects.get().progress == 2)

    engine.script = script
    assert run(move()).state == "completed"
