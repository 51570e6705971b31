"""Bulk actions: how many run at once, cancelling what waits, and trying the failed ones again."""

import threading
import time
from typing import Any

import pytest
from django.db import DatabaseError, connection

from tasks import lanes, runner
from tasks.closing import tally
from tasks.errors import JobFailed, NotPossible
from tasks.models import Task
from tasks.page import children_of
from tasks.runner import TaskRun, execute
from tasks.services import Child, Target, cancel, enqueue, retry
from tests.tasks.helpers import state_of
from tests.tasks.jobs import Engine

pytestmark = pytest.mark.django_db(transaction=True)


def child(ve_id: int, **params: Any) -> Child:
    return Child("test.move", {"ve_id": ve_id, **params}, {"ve": f"ve{ve_id}"}, (Target("ve", ve_id, f"ve{ve_id}"),))


def bulk(engine: Engine, *children: Child, at_most: int | None = None, then: Any = None) -> tuple[Task, list[Task]]:
    """A parent that has started these; its children's script is what the engine had before."""
    each = engine.script

    def start(run: TaskRun, **params: Any) -> None:
        if run.task.kind != "test.once":
            each(run, **params)
            return
        run.start_children(children, at_most=at_most)
        if then:
            then(run)

    engine.script = start
    parent = enqueue("test.once")
    execute(parent.pk)
    engine.script = each
    parent.refresh_from_db()
    return parent, list(parent.children.order_by("pk"))


def test_at_most_so_many_run_and_the_next_one_takes_the_free_place(engine: Engine) -> None:
    parent, children = bulk(engine, *map(child, range(1, 6)), at_most=2)
    assert [each.state for each in children] == ["queued", "queued", "waiting", "waiting", "waiting"]
    assert children[2].waiting_for == "Waits for 2 tasks of this action"

    execute(children[0].pk)
    assert [state_of(each) for each in children] == ["completed", "queued", "queued", "waiting", "waiting"]
    assert Task.objects.get(pk=parent.pk).waiting_for == "1 of 5 done"
    for each in children[1:]:
        execute(each.pk)
    assert state_of(parent) == "completed"


def test_a_waiting_task_names_those_before_it_and_its_place(engine: Engine) -> None:
    _, children = bulk(engine, *map(child, range(1, 5)), at_most=1)

    queues = lanes.queues_of(children)

    assert set(queues) == {each.pk for each in children[1:]}
    assert queues[children[1].pk].holders == (children[0],)
    assert queues[children[1].pk].words == "Waits for 1 task of this action, next in line"
    assert queues[children[3].pk].position == 3


def test_only_what_waits_is_cancelled_and_the_others_go_on(engine: Engine) -> None:
    parent, children = bulk(engine, *map(child, (1, 2, 3)), at_most=1)
    Task.objects.filter(pk=children[0].pk).update(state="running", attempt=1)

    cancel(parent, only_waiting=True)

    assert [state_of(each) for each in children] == ["running", "cancelled", "cancelled"]
    assert Task.objects.get(pk=children[0].pk).cancel_requested_at is None
    assert state_of(parent) == "waiting"
    Task.objects.filter(pk=children[0].pk).update(state="queued")
    execute(children[0].pk)
    parent.refresh_from_db()
    assert (parent.state, parent.reason) == ("cancelled", "Cancelled by Mooring. 1 of 3 done, 2 cancelled.")


def test_cancelling_what_waits_is_refused_when_nothing_waits(engine: Engine) -> None:
    parent, children = bulk(engine, child(1))
    Task.objects.filter(pk=children[0].pk).update(state="running", attempt=1)

    with pytest.raises(NotPossible, match="None of its tasks waits"):
        cancel(parent, only_waiting=True)
    assert Task.objects.get(pk=parent.pk).cancelled_by == ""
    Task.objects.filter(pk=children[0].pk).update(state="queued")
    execute(children[0].pk)


def test_a_partial_failure_ends_as_a_warning_with_each_reason(engine: Engine) -> None:
    def script(run: TaskRun, *, ve_id: int, live: bool) -> None:
        if ve_id > 2:
            raise JobFailed(f"ve{ve_id} has no room.")

    engine.script = script
    parent, children = bulk(engine, *map(child, (1, 2, 3, 4)))
    for each in children:
        execute(each.pk)
    parent.refresh_from_db()

    assert parent.state == "warning"
    assert parent.reason == "2 of 4 done, 2 failed. ve3: ve3 has no room. ve4: ve4 has no room."


def test_a_repetition_in_another_way_takes_the_place_of_what_failed(engine: Engine) -> None:
    """A retry of an evacuation may choose another target: its parameters differ, its object is the same."""
    engine.script = lambda run, **params: (_ for _ in ()).throw(JobFailed("No."))
    parent, children = bulk(engine, child(1))
    execute(children[0].pk)
    engine.script = lambda run, **params: None
    Task.objects.filter(pk=parent.pk).update(state="waiting", waits_for_children=True, finished_at=None)
    run = TaskRun(parent)
    from tasks.services.children import start_children

    [again] = start_children(run.task, [child(1, live=False)])
    execute(again.pk)
    parent.refresh_from_db()

    assert again.pk != children[0].pk
    assert parent.state == "completed"


def test_a_parent_whose_own_work_fails_waits_for_what_it_started(engine: Engine) -> None:
    def fail(run: TaskRun) -> None:
        raise JobFailed("The rest could not be started.")

    parent, children = bulk(engine, child(1), then=fail)
    assert state_of(parent) == "waiting"
    execute(children[0].pk)
    parent.refresh_from_db()

    assert (parent.state, parent.reason) == ("failed", "The rest could not be started. 1 of 1 done.")


def test_a_warning_of_the_parents_own_is_kept(engine: Engine) -> None:
    parent, children = bulk(engine, child(1), then=lambda run: run.warn("ve2 was left out."))
    execute(children[0].pk)
    parent.refresh_from_db()

    assert (parent.state, parent.reason) == ("warning", "ve2 was left out. 1 of 1 done.")


def test_a_warning_without_a_failed_child_cannot_be_tried_again(engine: Engine) -> None:
    parent, children = bulk(engine, child(1), then=lambda run: run.warn("ve2 was left out."))
    execute(children[0].pk)

    with pytest.raises(NotPossible):
        retry(parent)


def test_the_tally_counts_each_state_in_words(engine: Engine) -> None:
    states = ("completed", "warning", "failed", "lost", "cancelled", "running", "queued", "waiting")
    assert tally([Task(state=state) for state in states]) == "2 of 8 done, 2 failed, 1 cancelled, 1 runs, 2 wait"


def test_the_page_lists_the_children_with_reason_and_place_in_line(
    engine: Engine, operator: Any, client_of: Any
) -> None:
    parent, children = bulk(engine, *map(child, (1, 2, 3)), at_most=1)
    Task.objects.filter(pk=children[0].pk).update(object_name="ve1")
    client = client_of(operator)

    html = client.get(f"/tasks/{parent.pk}/").content.decode()

    assert "0 of 3 done, 3 wait" in html
    assert "Waits for 1 task of this action, second in line" in html
    assert "Only what waits" in html
    assert f'data-topic="task-children:{parent.pk}"' in html
    assert client.post(f"/tasks/{parent.pk}/cancel/", {"only": "waiting"}).status_code == 302
    assert [state_of(each) for each in children] == ["cancelled"] * 3
    assert children_of(None, Task.objects.get(pk=parent.pk)) is not None
    assert state_of(parent) == "cancelled"


def test_a_page_that_does_not_ask_for_the_line_still_says_what_a_task_waits_for(engine: Engine) -> None:
    from django.template.loader import render_to_string

    _, children = bulk(engine, *map(child, (1, 2)), at_most=1)

    assert "Waits for 1 task of this action" in render_to_string("tasks/_result.html", {"task": children[1]})
    assert "Waits for a worker" in render_to_string("tasks/_result.html", {"task": children[0]})


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_a_child_that_ends_while_its_parent_is_cancelled_does_not_deadlock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, (first, _) = bulk(engine, child(1), child(2))
    original, refused = runner._finish, []

    def finish(*args: Any) -> None:
        """The child's row is written by now; the parent's is next, once the other side has come as far as it can."""
        canceller.start()
        with connection.cursor() as cursor:
            waiting = 0
            while not waiting:
                time.sleep(0.01)
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                (waiting,) = cursor.fetchone()
        original(*args)

    def ask() -> None:
        try:
            cancel(parent)
        except DatabaseError as error:
            refused.append(error)
        finally:
            connection.close()

    canceller = threading.Thread(target=ask)
    monkeypatch.setattr(runner, "_finish", finish)
    monkeypatch.setattr("tasks.pen.LONGEST_PAUSE", 0.1)
    execute(first.pk)
    canceller.join()
    assert refused == []
    assert state_of(first) == "completed"
    assert state_of(parent) == "cancelled"
