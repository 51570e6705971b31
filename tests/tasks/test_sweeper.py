"""The sweeper: a lost message costs time, never the task; a message too many costs nothing."""

from typing import Any

import pytest
import time_machine

from tasks import messages
from tasks.models import Task
from tasks.runner import execute
from tasks.sweeper import Sweeper
from tests.tasks.helpers import copy, move
from tests.tasks.jobs import Engine
from tests.tasks.test_reaper import Clock

pytestmark = pytest.mark.django_db(transaction=True)


class Broker:
    """The id of the running Redis, or None while it is down."""

    run: str | None = "first"

    def __call__(self) -> str | None:
        return self.run


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def sweeper(clock: Clock, broker: Broker) -> Sweeper:
    """One that has seen this Redis before."""
    sweeper = Sweeper(clock, broker)
    sweeper.sweep()
    return sweeper


def sweep(sweeper: Sweeper, clock: Clock, seconds: int) -> list[int]:
    """Sweep each second; the seconds at which something was sent."""
    sent_at = []
    for second in range(1, seconds + 1):
        if sweeper.sweep():
            sent_at.append(second - 1)
        clock.now += 1
    return sent_at


def test_a_row_that_nobody_claims_is_sent_again_at_growing_intervals(sweeper: Sweeper, clock: Clock) -> None:
    task = move()
    assert sweep(sweeper, clock, 250) == [5, 10, 20, 40, 80, 140, 200]
    assert Task.objects.get(pk=task.pk).sends == 8


def test_a_row_whose_message_could_not_be_sent_is_sent_soon(
    sweeper: Sweeper, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(messages, "send", lambda task_id, queue: False)
        move()
    assert sweep(sweeper, clock, 5) == [1]


def test_a_redis_that_started_anew_gets_every_message_at_once(
    sweeper: Sweeper, clock: Clock, broker: Broker, sent: Any
) -> None:
    tasks = [copy(number, node_id=number) for number in range(5)]
    assert sweeper.sweep() == []
    sent.clear()
    broker.run = None
    clock.now += 1
    assert sweeper.sweep() == []
    broker.run = "second"
    clock.now += 1
    assert sweeper.sweep() == [task.pk for task in tasks]
    assert [task_id for task_id, _ in sent] == [task.pk for task in tasks]
    assert sweeper.sweep() == []


def test_nothing_is_tried_while_redis_is_down(sweeper: Sweeper, clock: Clock, broker: Broker, sent: Any) -> None:
    move()
    sent.clear()
    broker.run = None
    assert sweep(sweeper, clock, 30) == []
    assert sent == []


def test_what_waits_runs_or_has_ended_is_not_sent(sweeper: Sweeper, clock: Clock, sent: Any) -> None:
    tasks = [copy(number) for number in range(3)]
    execute(tasks[0].pk)
    Task.objects.filter(pk=tasks[1].pk).update(state="running")
    Task.objects.filter(pk=tasks[2].pk).update(state="waiting")
    sent.clear()
    sweep(sweeper, clock, 30)
    assert sent == []


def test_a_jump_of_the_wall_clock_changes_nothing(sweeper: Sweeper, clock: Clock) -> None:
    with time_machine.travel("2030-01-01", tick=False) as wall:
        move()
        wall.shift(-7200)
        assert sweep(sweeper, clock, 8) == [5]


def test_each_of_two_hundred_tasks_runs_once_although_messages_are_lost_and_doubled(
    engine: Engine, sweeper: Sweeper, clock: Clock, broker: Broker, sent: Any
) -> None:
    for number in range(200):
        copy(number, node_id=number)
    del sent[::2]
    sent += sent[:30]
    broker.run = "second"
    sweeper.sweep()
    for task_id, _ in sent:
        execute(task_id)
    assert sorted(number for _, number in engine.calls) == list(range(200))
    assert set(Task.objects.values_list("state", flat=True)) == {"completed"}
