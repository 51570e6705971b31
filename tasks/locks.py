"""Locks: what no two open tasks do to the same object at once.

A key is held by one task alone, or shared by any number of them: migrations share the nodes they use, and what is done
to a node as a whole holds it alone. Locks are only taken behind the gate, so looking and taking are one act.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q

from tasks.models import Task, TaskLock


@dataclass(frozen=True, slots=True)
class Locks:
    """The keys that a task holds alone, and those it shares."""

    alone: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


def in_the_way(locks: Locks) -> list[Task]:
    """The open tasks whose locks do not go with these, the oldest first; call it behind the gate."""
    wanted = Q(key__in=locks.alone) | Q(key__in=locks.shared, shared=False)
    held = TaskLock.objects.filter(wanted).select_related("task").order_by("task_id")
    return list({lock.task_id: lock.task for lock in held}.values())


def take(task: Task, locks: Locks) -> None:
    """Give the task its locks; call it behind the gate, after `in_the_way` found nobody."""
    _create(task, locks.alone, shared=False)
    _create(task, set(locks.shared) - set(locks.alone), shared=True)


def _create(task: Task, keys: Collection[str], *, shared: bool) -> None:
    TaskLock.objects.bulk_create(TaskLock(key=key, task=task, shared=shared) for key in sorted(keys))
