"""What the live socket tells of a task's log: each entry once, in order, whatever happens between two reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panel.live.registry import Update
from tasks import logbook, topics
from tasks.models import Task, TaskLine, TaskStep
from tasks.topics import TasksTopic, TaskTopic
from tests.tasks.pages import add_line, add_step, change_step, make_task

pytestmark = pytest.mark.django_db

# What a worker may do next; the number picks a step, or says how many lines one write adds.
WRITES = st.tuples(st.sampled_from(["open", "close", "progress", "line", "lines"]), st.integers(0, 9))


class Worker:
    """Writes a log as a task's worker does."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.open: list[TaskStep] = []

    def write(self, what: str, number: int) -> None:
        if what == "open":
            parent = self.open[-1] if self.open and number % 2 else None
            self.open.append(add_step(self.task, f"step {number}", state="running", parent=parent))
        elif what == "lines":
            first = add_line(self.task, "line")
            for _ in range(number):  # one write: all lines carry the same revision
                TaskLine.objects.filter(pk=add_line(self.task, "line").pk).update(rev=first.rev)
            self.task.rev = first.rev
            Task.objects.filter(pk=self.task.pk).update(rev=first.rev)
        elif what == "line" or not self.open:
            add_line(self.task, f"line {number}", step=self.open[-1] if self.open else None)
        elif what == "close":
            change_step(self.task, self.open.pop(number % len(self.open)), state="completed")
        else:
            change_step(self.task, self.open[number % len(self.open)], progress=number, note=f"{number} of 9")


class Browser:
    """Puts fragments into the page as the live module does: replaces what is there, appends what is not."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []  # (kind, id) in the order on the screen
        self.revisions: dict[tuple[str, int], int] = {}
        self.lines_received = 0
        self.after = 0

    def take(self, news: logbook.News) -> None:
        for entry in news.entries:
            row = (type(entry).__name__, entry.pk)
            self.lines_received += isinstance(entry, TaskLine)
            self.revisions[row] = entry.rev
            if row not in self.rows:
                self.rows.append(row)
        assert news.rev > self.after
        self.after = news.rev


def read(browser: Browser, task_id: int, batch: int) -> bool:
    """One read, as the topic does it; whether there is more."""
    task = Task.objects.get(pk=task_id)
    if task.rev <= browser.after:
        return False
    news = logbook.news(task, browser.after, batch=batch)
    browser.take(news)
    return news.more


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    turns=st.lists(
        st.tuples(st.lists(WRITES, max_size=6), st.integers(1, 5), st.lists(WRITES, max_size=3)), max_size=14
    )
)
def test_every_entry_arrives_once_and_in_order_whatever_happens_between_reads(
    turns: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    worker, browser = Worker(task), Browser()
    meanwhile: list[Callable[[], None]] = []
    steps = logbook._steps

    def interrupted(task: Task) -> Any:
        while meanwhile:  # the worker writes between the reading of lines and of steps
            meanwhile.pop(0)()
        return steps(task)

    with monkeypatch.context() as patched:
        patched.setattr(logbook, "_steps", interrupted)
        for writes, batch, later in turns:
            for write in writes:
                worker.write(*write)
            meanwhile.extend(lambda write=write: worker.write(*write) for write in later)
            read(browser, task.pk, batch)
        meanwhile.clear()
        while read(browser, task.pk, 3):
            pass

    _shows_the_whole_log(browser, task)


def _shows_the_whole_log(browser: Browser, task: Task) -> None:
    entries = [*TaskStep.objects.filter(task=task), *TaskLine.objects.filter(task=task)]
    entries.sort(key=lambda entry: entry.seq)
    assert browser.rows == [(type(entry).__name__, entry.pk) for entry in entries]
    assert browser.revisions == {(type(entry).__name__, entry.pk): entry.rev for entry in entries}
    assert browser.lines_received == TaskLine.objects.filter(task=task).count()
    assert browser.after == Task.objects.get(pk=task.pk).rev


def test_a_step_that_ends_late_still_comes_before_its_lines(viewer: Any) -> None:
    task = make_task()
    step = add_step(task, "Copying", state="running")
    for number in range(2 * logbook.BATCH):
        add_line(task, f"block {number}", step=step)
    change_step(task, step, state="completed")

    first = TaskTopic.read(viewer, str(task.pk), 0)

    assert first is not None
    assert first.more
    assert first.html.index(f'id="step-{step.pk}"') < first.html.index('id="line-')


def test_one_write_larger_than_a_batch_is_not_torn() -> None:
    task = make_task()
    worker, browser = Worker(task), Browser()
    worker.write("lines", 9)
    worker.write("line", 1)

    assert read(browser, task.pk, 4)
    assert browser.lines_received == 10
    assert not read(browser, task.pk, 4)
    _shows_the_whole_log(browser, task)


def test_an_update_stays_below_the_size_the_socket_is_made_for(viewer: Any) -> None:
    task = make_task()
    step = add_step(task, "Copying", state="running")
    for number in range(logbook.BATCH + 50):
        add_line(task, f"{number}: a line as engines write them, of about eighty characters in the mean", step=step)

    update = TaskTopic.read(viewer, str(task.pk), 0)

    assert update is not None
    assert len(update.html.encode()) < 256 * 1024


def test_nothing_new_is_no_update(viewer: Any) -> None:
    task = make_task()

    assert TaskTopic.read(viewer, str(task.pk), task.rev) is None


def test_the_last_update_of_an_ended_task_is_final(viewer: Any) -> None:
    task = make_task(state="completed")
    add_step(task, "Starting the process")

    update = TaskTopic.read(viewer, str(task.pk), 0)

    assert update is not None
    assert update.final
    assert update.rev == task.rev
    assert "Completed" in update.html


def test_rows_know_where_they_are_appended_and_regions_keep_their_ids(viewer: Any) -> None:
    task = make_task()
    step = add_step(task, "Starting the process")
    line = add_line(task, "hello", step=step)

    html = _html(TaskTopic.read(viewer, str(task.pk), 0))

    for region in ("task-status", "task-actions", "task-notes", "task-progress", "task-facts", "task-leaving"):
        assert len(re.findall(f'id="{region}"', html)) == 1
    for row in (f"step-{step.pk}", f"line-{line.pk}"):
        assert re.search(rf'id="{row}"[^>]* data-append="#log-steps"', html)


def test_what_an_engine_wrote_is_text_never_markup(viewer: Any) -> None:
    payload = "<img src=x onerror=alert(1)>"
    task = make_task(payload, progress_note=payload, object_name=payload, place=payload, reason=payload)
    step = add_step(task, payload)
    for level in ("info", "warning", "error", "command"):
        add_line(task, payload, step=step, level=level)

    html = _html(TaskTopic.read(viewer, str(task.pk), 0))

    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 6


def test_a_user_without_the_right_reads_nothing(make_user: Any) -> None:
    task = make_task()
    nobody = make_user("nobody")

    with pytest.raises(PermissionDenied):
        TaskTopic.read(nobody, str(task.pk), 0)
    with pytest.raises(PermissionDenied):
        TasksTopic.read(nobody, "", 0)


def test_a_scoped_user_reads_the_tasks_of_his_part_alone(make_user: Any) -> None:
    mine, other = make_task(nodes=["primary"]), make_task(object_id=8, nodes=[])
    ana = make_user("ana", "viewer", scope=("node", 1))

    assert TaskTopic.read(ana, str(mine.pk), 0) is not None
    with pytest.raises(PermissionDenied):
        TaskTopic.read(ana, str(other.pk), 0)


@pytest.mark.parametrize("key", ["", "x", "99999", "1;2"])
def test_a_key_that_names_no_task_is_an_error_of_lookup(key: str, viewer: Any) -> None:
    with pytest.raises((LookupError, Task.DoesNotExist)):
        TaskTopic.read(viewer, key, 0)


def test_a_viewer_gets_no_traceback_and_no_buttons(viewer: Any, administrator: Any) -> None:
    task = make_task(state="errored", reason="Mooring made an error.", traceback="KeyError: 'secret detail'")

    assert "secret detail" not in _html(TaskTopic.read(viewer, str(task.pk), 0))
    assert "Retry" not in _html(TaskTopic.read(viewer, str(task.pk), 0))
    html = _html(TaskTopic.read(administrator, str(task.pk), 0))
    assert "KeyError: &#x27;secret detail&#x27;" in html
    assert "Retry" in html


def test_the_list_topic_speaks_only_when_something_it_shows_has_changed(viewer: Any) -> None:
    task = make_task(progress=10)
    first = TasksTopic.read(viewer, "", 0)
    assert first is not None
    assert TasksTopic.read(viewer, "", first.rev) is None

    Task.objects.filter(pk=task.pk).update(progress=20, rev=task.rev + 1)
    second = TasksTopic.read(viewer, "", first.rev)

    assert second is not None
    assert "20%" in second.html
    assert second.data == {"running": 1, "waiting": 0, "newest": task.pk}
    for region in ("dock", "task-indicator"):
        assert f'id="{region}"' in second.html


def test_the_topics_are_declared_with_their_right() -> None:
    from panel.live.registry import declared

    rights = {topic.prefix: topic.permission for topic in declared()}
    assert rights["task"] == rights["tasks"] == "task.view"
    assert topics.TaskTopic.subject is not None


def _html(update: Update | None) -> str:
    assert update is not None
    return update.html
