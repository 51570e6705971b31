"""Rows for the tests of the task pages, made without running anything."""

from typing import Any

from django.utils import timezone

from tasks.choices import FINAL_STATES, State
from tasks.models import Task, TaskLine, TaskStep, TaskTarget


def make_task(title: str = "Moving vmtest", state: str = State.RUNNING, **columns: Any) -> Task:
    """A task of kind test.move with the given columns; `nodes` are the names of nodes it is about."""
    nodes = columns.pop("nodes", ())
    now = timezone.now()
    begun = None if state in (State.WAITING, State.QUEUED) else now
    defaults = {
        "kind": "test.move",
        "queue": "migrate",
        "params": {"ve_id": 7, "live": True},
        "object_type": "ve",
        "object_id": 7,
        "object_name": "vmtest",
        "started_at": begun,
        "finished_at": now if state in FINAL_STATES else None,
        "rev": 1,
    }
    task = Task.objects.create(title=title, state=state, **{**defaults, **columns})
    if task.object_id:
        target = {"object_type": task.object_type, "object_id": task.object_id, "object_name": task.object_name}
        TaskTarget.objects.create(task=task, **target)
    for number, name in enumerate(nodes, start=1):
        TaskTarget.objects.create(task=task, object_type="node", object_id=number, object_name=name)
    return task


def add_step(task: Task, title: str, state: str = "completed", parent: TaskStep | None = None) -> TaskStep:
    """The next entry of the log, a step."""
    now = timezone.now()
    rev, seq = _stamp(task)
    return TaskStep.objects.create(
        task=task, parent=parent, depth=parent.depth + 1 if parent else 0, seq=seq, rev=rev, key=f"{seq}", title=title,
        state=state, attempt=1, started_at=now, finished_at=None if state == "running" else now,
    )  # fmt: skip


def add_line(task: Task, text: str, step: TaskStep | None = None, level: str = "info") -> TaskLine:
    """The next entry of the log, a line."""
    rev, seq = _stamp(task)
    return TaskLine.objects.create(task=task, step=step, seq=seq, rev=rev, level=level, text=text, at=timezone.now())


def change_step(task: Task, step: TaskStep, **columns: Any) -> None:
    """Change a step as a worker does: with a newer revision."""
    rev, _ = _stamp(task, entries=0)
    TaskStep.objects.filter(pk=step.pk).update(rev=rev, **columns)


def _stamp(task: Task, entries: int = 1) -> tuple[int, int]:
    task.rev += 1
    task.log_length += entries
    Task.objects.filter(pk=task.pk).update(rev=task.rev, log_length=task.log_length)
    return task.rev, task.log_length
