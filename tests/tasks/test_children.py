"""Bulk actions: the parent holds no worker and ends when its children have."""

from typing import Any

import pytest

from panel.accounts.models import User
from tasks.errors import JobFailed
from tasks.keeper import settle_parents
from tasks.models import Task, TaskLock
from tasks.runner import TaskRun, claim, execute
from tasks.services import Child, cancel, enqueue, retry
from tests.tasks.helpers import in_threads, move
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def started(*ve_ids: int, user: User | None = None) -> tuple[Task, list[Task]]:
    parent = enqueue("test.all", params={"ve_ids": list(ve_ids)}, user=user)
    execute(parent.pk)
    parent.refresh_from_db()
    return parent, list(parent.children.order_by("pk"))


def end(*children: Task) -> None:
    for child in children:
        execute(child.pk)


def failing(*ve_ids: int) -> Any:
    def script(run: TaskRun, *, ve_id: int) -> None:
        if ve_id in ve_ids:
            raise JobFailed("No.")

    return script


def test_the_parent_waits_without_a_worker_and_says_for_how_many(operator: User) -> None:
    parent, children = started(1, 2, 3, user=operator)
    assert (parent.state, parent.waiting_for) == ("waiting", "0 of 3 done")
    assert {child.initiator for child in children} == {operator}
    assert claim(parent.pk, "w") is None
    end(children[0])
    parent.refresh_from_db()
    assert (parent.waiting_for, parent.progress) == ("1 of 3 done", 33)


@pytest.mark.parametrize(
    ("failures", "state", "reason"),
    [
        ((), "completed", ""),
        ((2,), "warning", "2 of 3 done, 1 failed. ve2: No."),
        ((1, 2, 3), "failed", "0 of 3 done, 3 failed. ve1: No. ve2: No. ve3: No."),
    ],
)
def test_the_parents_outcome_is_that_of_its_children(
    engine: Engine, failures: tuple[int, ...], state: str, reason: str
) -> None:
    engine.script = failing(*failures)
    parent, children = started(1, 2, 3)
    end(*children)
    parent.refresh_from_db()
    assert (parent.state, parent.reason) == (state, reason)
    assert parent.finished_at is not None


def test_children_that_end_at_once_do_not_miss_each_other() -> None:
    parent, children = started(*range(8))
    in_threads([lambda child=child: execute(child.pk) for child in children])
    parent.refresh_from_db()
    assert parent.state == "completed"


def test_a_child_that_conflicts_is_a_failed_row_with_the_reason() -> None:
    other = move(2, "ve2")
    parent, children = started(1, 2)
    assert (children[1].state, children[1].reason) == ("failed", f"ve2 is being moved (task {other.pk}).")
    end(children[0])
    parent.refresh_from_db()
    assert (parent.state, parent.reason) == (
        "warning",
        f"1 of 2 done, 1 failed. ve2: ve2 is being moved (task {other.pk}).",
    )


def test_a_parent_whose_children_were_all_refused_ends_at_once() -> None:
    move(1)
    parent, _ = started(1)
    assert parent.state == "failed"


def test_a_parent_without_children_completes() -> None:
    assert started()[0].state == "completed"


def test_cancelling_the_parent_cancels_its_children() -> None:
    parent, children = started(1, 2)
    end(children[0])
    cancel(parent)
    parent.refresh_from_db()
    assert (parent.state, parent.reason) == ("cancelled", "Cancelled by Mooring. 1 of 2 done, 1 cancelled.")
    assert not TaskLock.objects.exists()


def test_a_retry_of_the_parent_starts_only_what_did_not_complete(engine: Engine) -> None:
    engine.script = failing(2)
    parent, children = started(1, 2)
    end(*children)
    engine.script = failing()
    engine.calls.clear()
    retry(parent)
    execute(parent.pk)
    end(*parent.children.filter(state="queued"))
    parent.refresh_from_db()
    assert engine.calls == [("start", 2)]
    assert (parent.state, parent.reason) == ("completed", "")


def test_children_are_started_all_or_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.services import children as module

    start = module._start

    def fails_at_the_second(parent: Task, child: Child, settled: dict[str, Task]) -> Task:
        if child.params == {"ve_id": 2}:
            raise ValueError("a bug")
        return start(parent, child, settled)

    monkeypatch.setattr(module, "_start", fails_at_the_second)
    parent, children = started(1, 2)
    assert (parent.state, children) == ("errored", [])


def test_the_keeper_ends_a_parent_that_nobody_told() -> None:
    parent, children = started(1)
    TaskLock.objects.all().delete()
    Task.objects.filter(pk=children[0].pk).update(state="completed", finished_at=parent.created_at)
    settle_parents()
    parent.refresh_from_db()
    assert parent.state == "completed"
