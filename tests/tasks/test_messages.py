"""Sending the message: one try, never an error for who asks, and who tells the pages."""

from typing import Any

import pytest

from tasks import messages, publish
from tasks.models import Task
from tasks.runner import TaskRun, execute
from tests.tasks.helpers import move
from tests.tasks.jobs import Engine

real_send = messages.send


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is handed to Celery; raises while the list holds "down"."""
    calls: list[Any] = []

    def apply_async(**options: Any) -> None:
        calls.append(options)
        if "down" in calls:
            raise ConnectionError("no Redis")

    monkeypatch.setattr(messages.run, "apply_async", apply_async)
    monkeypatch.setattr(messages, "_pause_until", 0.0)
    return calls


def test_a_message_carries_the_tasks_number_to_its_queue_and_is_not_retried(broker: list[Any]) -> None:
    assert real_send(41, "migrate") is True
    assert broker == [{"args": [41], "queue": "migrate", "retry": False}]


def test_a_redis_that_does_not_answer_is_waited_for_once_not_for_each_of_many_tasks(
    broker: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.append("down")
    assert [real_send(number, "default") for number in range(10)] == [False] * 10
    assert len(broker) == 2
    monkeypatch.setattr(messages, "_pause_until", 0.0)
    broker.clear()
    assert real_send(1, "default") is True


@pytest.mark.django_db(transaction=True)
def test_each_change_is_poked_after_its_commit_with_a_revision_that_can_be_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pokes: list[tuple[str, int]] = []

    def poke(topic: str, rev: int) -> None:
        pokes.append((topic, rev))
        assert Task.objects.filter(rev__gte=rev).exists(), "poked before it could be read"

    monkeypatch.setattr(publish, "poke", poke)

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("One") as step:
            step.line("text")

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()
    assert [rev for topic, rev in pokes if topic == f"task:{task.pk}"] == list(range(1, task.rev + 1))
    assert sum(topic == "tasks" for topic, _ in pokes) == 3, "asked for, begun, ended"
