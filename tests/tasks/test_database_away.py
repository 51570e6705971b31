"""The database goes away under a running task: the engine's work goes on, and its record is written afterwards."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, transaction

from tasks import heartbeat
from tasks.models import Task
from tasks.pen import Pen
from tasks.runner import TaskRun, execute
from tests.tasks.helpers import log_of, move
from tests.tasks.jobs import Engine
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def away(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
    """Have the next writes meet these errors, one each."""
    prove = Pen._prove

    def broken(self: Pen, statement: str, values: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return prove(self, statement, values)

    monkeypatch.setattr(Pen, "_prove", broken)


def test_a_write_is_tried_until_the_database_is_back_and_is_there_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [OperationalError("server closed the connection"), InterfaceError("connection is closed")]

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Migrating") as step:
            away(monkeypatch, errors)
            step.line("still here")

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert errors == []
    assert (task.state, log_of(task)) == ("completed", ["[completed] Migrating", "  info: still here"])


def test_inside_a_transaction_of_the_job_nothing_is_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        with transaction.atomic():
            away(monkeypatch, [OperationalError("server closed the connection")])
            run.line("never written")

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert (task.state, log_of(task)) == ("errored", [])


def test_the_heart_goes_on_beating_after_database_errors(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.02)
    errors: list[Exception] = [OperationalError("away")] * 3

    def script(run: TaskRun, **params: Any) -> None:
        away(monkeypatch, errors)
        before = Task.objects.get().heartbeat
        eventually(lambda: Task.objects.get().heartbeat != before)
        engine.calls.append(("beat", Task.objects.get().heartbeat > before))

    engine.script = script
    execute(move().pk)
    assert errors == []
    assert engine.calls[-1] == ("beat", True)
