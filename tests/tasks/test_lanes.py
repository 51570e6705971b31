"""Lanes: so many at once and no more; the rest waits as rows and says for what."""

import time
from typing import Any

import pytest

from tasks import lanes
from tasks.errors import JobFailed
from tasks.models import Task
from tasks.runner import TaskRun, claim, execute
from tasks.services import cancel
from tests.tasks.helpers import copy, in_threads
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def states() -> list[str]:
    return list(Task.objects.order_by("pk").values_list("state", flat=True))


def test_a_task_whose_lane_is_full_waits_without_a_message_and_says_for_what(sent: Any) -> None:
    tasks = [copy(number) for number in range(4)]
    assert states() == ["queued", "queued", "waiting", "waiting"]
    assert tasks[3].waiting_for == "Waits for 2 copies out of node 1"
    assert [task_id for task_id, _ in sent] == [task.pk for task in tasks[:2]]
    assert claim(tasks[3].pk, "w") is None, "a stray message does not start it"


def test_lanes_of_other_nodes_are_not_in_the_way() -> None:
    [copy(number) for number in range(3)]
    assert copy(9, node_id=2).state == "queued"


@pytest.mark.parametrize("error", [None, JobFailed("No."), ValueError()])
def test_the_end_of_a_task_admits_the_oldest_that_waits(engine: Engine, sent: Any, error: Exception | None) -> None:
    def script(run: TaskRun, **params: Any) -> None:
        if error is not None:
            raise error

    engine.script = script
    tasks = [copy(number) for number in range(4)]
    sent.clear()
    execute(tasks[1].pk)
    assert states()[2:] == ["queued", "waiting"]
    assert sent == [(tasks[2].pk, "default")]
    assert Task.objects.get(pk=tasks[2].pk).waiting_for == ""


def test_cancelling_a_queued_task_admits_the_next() -> None:
    tasks = [copy(number) for number in range(3)]
    cancel(tasks[0])
    assert states() == ["cancelled", "queued", "queued"]


def test_the_keepers_admission_finds_room_that_nobody_announced() -> None:
    tasks = [copy(number) for number in range(3)]
    Task.objects.filter(pk=tasks[0].pk).update(state="lost", finished_at=tasks[0].created_at)
    assert lanes.admit() == [tasks[2].pk]
    assert lanes.admit() == []


def test_a_task_in_two_lanes_waits_for_room_in_both(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tasks import registry
    from tasks.lanes import Lane

    both = replace(
        registry.get_job("test.copy"),
        lanes=lambda params: [
            Lane("out", 1, "1 copy out"), Lane(f"in:{params['node_id']}", 1, f"1 copy into {params['node_id']}")
        ],
    )  # fmt: skip
    monkeypatch.setitem(registry._jobs, "test.copy", both)
    copy(1, node_id=1)
    assert copy(2, node_id=1).waiting_for == "Waits for 1 copy out and 1 copy into 1"
    assert copy(3, node_id=2).waiting_for == "Waits for 1 copy out"


def test_never_more_than_the_limit_run_whoever_comes_and_goes(engine: Engine) -> None:
    """Requests, ends and the keeper's admissions at once, from many threads."""
    running, most = set(), []

    def script(run: TaskRun, *, number: int, node_id: int) -> None:
        running.add(number)
        most.append(len(running))
        time.sleep(0.01)
        running.discard(number)

    engine.script = script
    in_threads([lambda n=n: copy(n) for n in range(16)])

    def work() -> None:
        deadline = time.monotonic() + 180
        while Task.objects.exclude(state="completed").exists() and time.monotonic() < deadline:
            for task_id in Task.objects.filter(state="queued").values_list("pk", flat=True):
                execute(task_id)
            lanes.admit()

    in_threads([work] * 4)
    assert set(states()) == {"completed"}
    assert max(most) <= 2
    assert len(engine.calls) == 16
