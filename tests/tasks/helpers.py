"""Shared by the tests of the task engine: the invariants, and small ways to start and read tasks."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from tasks.choices import FINAL_STATES, OPEN_STATES
from tasks.models import Task, TaskLine, TaskLock, TaskStep
from tasks.services import Target, enqueue


def assert_invariants() -> None:
    """Every log is contiguous; no lock without an open task; no open step in a task that has ended."""
    for task in Task.objects.all():
        steps = list(TaskStep.objects.filter(task=task).values_list("seq", flat=True))
        lines = list(TaskLine.objects.filter(task=task).values_list("seq", flat=True))
        assert sorted(steps + lines) == list(range(1, task.log_length + 1)), f"the log of {task} has gaps"
        assert not TaskStep.objects.filter(task=task, rev__gt=task.rev).exists()
        assert not TaskLine.objects.filter(task=task, rev__gt=task.rev).exists()
        if task.state in FINAL_STATES:
            assert not TaskStep.objects.filter(task=task, state="running").exists(), f"{task} has an open step"
            assert task.finished_at is not None
    for lock in TaskLock.objects.select_related("task"):
        assert lock.task.state in OPEN_STATES, f"{lock} although it has ended"


def move(ve_id: int = 7, name: str = "vmtest", **extra: Any) -> Task:
    """Enqueue the test job that has a lock and a recover function."""
    params = {"ve_id": ve_id, **extra.pop("params", {})}
    return enqueue("test.move", params=params, title_args={"ve": name}, targets=[Target("ve", ve_id, name)], **extra)


def copy(number: int, node_id: int = 1) -> Task:
    """Enqueue the test job that runs in a lane of two."""
    return enqueue("test.copy", params={"number": number, "node_id": node_id})


def log_of(task: Task) -> list[str]:
    """The log in order; steps as "[state] title" and lines as "level: text", indented by depth."""
    entries: list[tuple[int, str]] = []
    for step in TaskStep.objects.filter(task=task):
        entries.append((step.seq, f"{'  ' * step.depth}[{step.state}] {step.title}"))
    for line in TaskLine.objects.filter(task=task).select_related("step"):
        depth = line.step.depth + 1 if line.step else 0
        entries.append((line.seq, f"{'  ' * depth}{line.level}: {line.text}"))
    return [text for _, text in sorted(entries)]


def state_of(task: Task) -> str:
    return str(Task.objects.values_list("state", flat=True).get(pk=task.pk))


def in_threads(functions: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run each in a thread of its own, all let go at once; their results, or the exceptions they raised."""
    functions = list(functions)
    barrier = threading.Barrier(len(functions))
    results: list[Any] = [None] * len(functions)

    def work(index: int, function: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout=30)
            results[index] = function()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
        assert not thread.is_alive()
    return results
