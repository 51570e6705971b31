"""An update of a task carries what the page does not have yet, and nothing else."""

from typing import Any

import pytest

from panel.live.registry import Update
from tasks.models import Task
from tasks.topics import ChildrenTopic, TasksTopic, TaskTopic, rights_of
from tests.tasks.pages import add_line, add_step, make_task

pytestmark = pytest.mark.django_db
REGIONS = ("task-status", "task-actions", "task-notes", "task-facts", "task-leaving")


def shared(user: Any, task: Task, after: int, mark: Any) -> Update:
    update = TaskTopic.shared(rights_of(user, task), str(task.pk), after, mark)
    assert update is not None
    return update


def change(task: Task, **columns: Any) -> None:
    task.rev += 1
    Task.objects.filter(pk=task.pk).update(rev=task.rev, **columns)


def regions(update: Update) -> set[str]:
    names = (*REGIONS, "task-progress", "task-charts", "task-children")
    return {name for name in names if f'id="{name}"' in update.html}


def test_the_first_update_has_every_region(viewer: Any) -> None:
    task = make_task()
    assert {*REGIONS, "task-progress"} <= regions(shared(viewer, task, 0, None))


def test_a_new_line_comes_alone(viewer: Any) -> None:
    task = make_task()
    step = add_step(task, "Copying", state="running")
    first = shared(viewer, task, 0, None)
    add_line(task, "one more", step=step)

    update = shared(viewer, task, first.rev, first.mark)

    assert "one more" in update.html
    assert regions(update) == set()


def test_progress_brings_its_own_region_only(viewer: Any) -> None:
    task = make_task(progress=10)
    first = shared(viewer, task, 0, None)
    change(task, progress=11, heartbeat=5)

    assert regions(shared(viewer, task, first.rev, first.mark)) == {"task-progress"}


@pytest.mark.parametrize(
    "columns", [{"state": "queued"}, {"cancellable": False}, {"cancelled_by": "ana"}, {"facts": [["a", "b"]]}]
)
def test_a_change_of_the_task_itself_brings_all_regions_that_may_show_it(viewer: Any, columns: dict[str, Any]) -> None:
    task = make_task()
    first = shared(viewer, task, 0, None)
    change(task, **columns)

    assert set(REGIONS) <= regions(shared(viewer, task, first.rev, first.mark))


def test_a_page_that_connects_anew_gets_everything(viewer: Any) -> None:
    task = make_task()
    first = shared(viewer, task, 0, None)
    add_line(task, "one more")

    assert set(REGIONS) <= regions(shared(viewer, task, first.rev, None))


def test_users_with_other_rights_see_other_buttons(viewer: Any, operator: Any) -> None:
    task = make_task()
    assert "Cancel move" in shared(operator, task, 0, None).html
    assert "Cancel move" not in shared(viewer, task, 0, None).html


def test_reading_one_line_takes_three_queries(viewer: Any, django_assert_max_num_queries: Any) -> None:
    task = make_task()
    step = add_step(task, "Copying", state="running")
    rights = rights_of(viewer, task)
    first = shared(viewer, task, 0, None)
    add_line(task, "one more", step=step)

    with django_assert_max_num_queries(3):
        TaskTopic.shared(rights, str(task.pk), first.rev, first.mark)


def parent_of(*states: str) -> tuple[Task, list[Task]]:
    parent = make_task("Evacuating primary", state="waiting", waits_for_children=True)
    rows = [
        make_task(f"Moving vm{number}", state=state, parent=parent, object_id=number)
        for number, state in enumerate(states, start=1)
    ]
    return parent, rows


def children(task: Task, after: int, mark: Any = None) -> Update:
    update = ChildrenTopic.shared(None, str(task.pk), after, mark)
    assert update is not None
    return update


def test_only_the_children_that_changed_are_sent(viewer: Any) -> None:
    parent, (one, two) = parent_of("running", "running")
    first = children(parent, 0)
    assert ChildrenTopic.shared(None, str(parent.pk), first.rev, first.mark) is None
    change(two, progress=40)

    update = children(parent, first.rev, first.mark)

    assert f'id="child-{two.pk}"' in update.html
    assert f'id="child-{one.pk}"' not in update.html
    assert 'id="children-head"' in update.html


def test_a_new_child_brings_the_whole_table() -> None:
    parent, _ = parent_of("running")
    first = children(parent, 0)
    make_task("Moving vm9", parent=parent, object_id=9)

    assert 'id="task-children"' in children(parent, first.rev, first.mark).html


def test_the_list_topic_speaks_when_a_child_changes(viewer: Any) -> None:
    _, (one,) = parent_of("running")
    first = TasksTopic.read(viewer, "", 0)
    assert first is not None
    change(one, progress=40)

    assert TasksTopic.read(viewer, "", first.rev) is not None


def test_the_task_log_opens_an_actions_tasks_below_it(operator: Any, client_of: Any) -> None:
    parent, (one, two) = parent_of("completed", "failed")
    Task.objects.filter(pk=two.pk).update(reason="secondnode1 has no room.")
    client = client_of(operator)

    closed = client.get("/tasks/").content.decode()
    opened = client.get(f"/tasks/?open={parent.pk}").content.decode()

    assert f'href="/tasks/?open={parent.pk}"' in closed
    assert "secondnode1 has no room." not in closed
    assert 'aria-expanded="true"' in opened.split('id="task-table"')[1]
    assert f'id="below-{one.pk}"' in opened
    assert "secondnode1 has no room." in opened


@pytest.mark.parametrize("value", ["x", "1;2", "99999999999999999999", ",,", "-1"])
def test_an_address_that_opens_nothing_is_the_closed_list(value: str, viewer: Any, client_of: Any) -> None:
    parent_of("running")
    response = client_of(viewer).get("/tasks/", {"open": value})

    assert response.status_code == 200
    assert 'class="below"' not in response.content.decode()
