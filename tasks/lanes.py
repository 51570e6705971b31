"""Lanes: at most N tasks of a key are queued or running; the others wait as rows, which holds no worker.

Whoever changes who occupies a lane takes the gate first, so admissions happen one at a time on every database.
"""

from collections import Counter
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, QuerySet

from tasks import messages, publish
from tasks.choices import State
from tasks.models import Gate, Task, TaskLane
from tasks.text import clip

OCCUPYING = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Lane:
    """A task may run while fewer than `limit` others of the same key are queued or running.

    `label` says what a later one waits for: "2 migrations on primary".
    """

    key: str
    limit: int
    label: str


def take_gate() -> None:
    """Wait for one's turn; it lasts until the end of the surrounding transaction."""
    if not Gate.objects.filter(pk=1).update(turns=F("turns") + 1):
        Gate.objects.bulk_create([Gate(pk=1)], ignore_conflicts=True)
        Gate.objects.filter(pk=1).update(turns=F("turns") + 1)


def occupancy(keys: set[str]) -> Counter[str]:
    """How many tasks occupy each lane now; call it behind the gate."""
    rows = TaskLane.objects.filter(key__in=keys, task__state__in=OCCUPYING).values("key").annotate(used=Count("id"))
    return Counter({row["key"]: row["used"] for row in rows.order_by()})


def waiting_text(full: list[str]) -> str:
    """What a task with these full lanes is shown to wait for; "" when there is room in all."""
    return clip(f"Waits for {' and '.join(full)}", 250) if full else ""


def full_lanes(lanes: list[TaskLane], used: Counter[str]) -> list[str]:
    """The labels of the lanes without room."""
    return [lane.label for lane in lanes if used[lane.key] >= lane.limit]


def admit() -> list[int]:
    """Queue the waiting tasks whose lanes all have room, oldest first; returns their ids.

    A younger task may pass an older one that also waits for some other, still full lane: no room is left unused.
    """
    if not _waiting().exists():
        return []
    with transaction.atomic():
        take_gate()
        waiting = list(_waiting().prefetch_related("lanes").order_by("pk"))
        used = occupancy({lane.key for task in waiting for lane in task.lanes.all()})
        return [task.pk for task in waiting if _admit_one(task, used)]


def _waiting() -> QuerySet[Task]:
    return Task.objects.filter(state=State.WAITING, waits_for_children=False)


def _admit_one(task: Task, used: Counter[str]) -> bool:
    lanes = list(task.lanes.all())
    text = waiting_text(full_lanes(lanes, used))
    if text == task.waiting_for and text:
        return False
    changes = {"waiting_for": text, "rev": F("rev") + 1}
    if text:
        _waiting().filter(pk=task.pk).update(**changes)
        publish.after_commit(task.pk)
        return False
    if not _waiting().filter(pk=task.pk).update(state=State.QUEUED, **changes, **messages.about_to_send()):
        return False  # cancelled meanwhile
    used.update(lane.key for lane in lanes)
    messages.send_after_commit(task.pk, task.queue)
    publish.after_commit(task.pk, listed=True)
    return True
