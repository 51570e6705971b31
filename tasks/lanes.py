"""Lanes: at most N tasks of a key are queued or running; the others wait as rows, which holds no worker.

Whoever changes who occupies a lane takes the gate first, so admissions happen one at a time on every database.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import transaction
from django.db.models import Count, F, QuerySet

from tasks import messages, publish
from tasks.choices import State
from tasks.models import Gate, Task, TaskLane
from tasks.scopes import Reader, shown_to
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


@dataclass(frozen=True, slots=True)
class Queue:
    """What a waiting task waits for: the tasks that occupy its full lanes, and how many wait before it there."""

    text: str
    holders: tuple[Task, ...]
    position: int

    @property
    def words(self) -> str:
        """ "Waits for 2 migrations on primary, third in line"."""
        place = ("next in line", "second in line", "third in line")
        where = place[self.position - 1] if self.position <= len(place) else f"number {self.position} in line"
        return f"{self.text or 'Waits for a free place'}, {where}"


def queues_of(tasks: Iterable[Task], reader: Reader = None) -> dict[int, Queue]:
    """By id, for those of the tasks that wait for a lane: two queries, or none when none of them does.

    All count for the place in the line; only those that the reader sees are named.
    """
    waiting = {task.pk: task for task in tasks if task.state == State.WAITING and not task.waits_for_children}
    if not waiting:
        return {}
    wanted: dict[int, dict[str, int]] = defaultdict(dict)
    for task_id, key, limit in TaskLane.objects.filter(task__in=waiting).values_list("task_id", "key", "limit"):
        wanted[task_id][key] = limit
    keys = {key for lanes in wanted.values() for key in lanes}
    there = TaskLane.objects.filter(key__in=keys, task__state__in=(*OCCUPYING, State.WAITING)).select_related("task")
    holders: dict[str, list[Task]] = defaultdict(list)
    queued: dict[str, list[int]] = defaultdict(list)
    for lane in there.order_by("task_id"):
        if lane.task.state == State.WAITING:
            queued[lane.key].append(lane.task_id)
        else:
            holders[lane.key].append(lane.task)
    found = {pk: _queue(task, wanted[pk], holders, queued) for pk, task in waiting.items()}
    return found if reader is None else _named(found, reader)


def _named(queues: dict[int, Queue], reader: Reader) -> dict[int, Queue]:
    holders = {task.pk for queue in queues.values() for task in queue.holders}
    seen = set(shown_to(reader, Task.objects.filter(pk__in=holders)).values_list("pk", flat=True))
    return {
        pk: replace(queue, holders=tuple(task for task in queue.holders if task.pk in seen))
        for pk, queue in queues.items()
    }


def _queue(task: Task, lanes: dict[str, int], holders: dict[str, list[Task]], queued: dict[str, list[int]]) -> Queue:
    full = [key for key, limit in lanes.items() if len(holders[key]) >= limit]
    found = {holder.pk: holder for key in full for holder in holders[key]}
    before = {other for key in full for other in queued[key] if other < task.pk}
    return Queue(task.waiting_for, tuple(found[pk] for pk in sorted(found)), len(before) + 1)


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
        publish.after_commit(task.pk, listed=True, parent_id=task.parent_id)
        return False
    if not _waiting().filter(pk=task.pk).update(state=State.QUEUED, **changes, **messages.about_to_send()):
        return False  # cancelled meanwhile
    used.update(lane.key for lane in lanes)
    messages.send_after_commit(task.pk, task.queue)
    publish.after_commit(task.pk, listed=True, parent_id=task.parent_id)
    return True
