"""What the dock at the foot of every page shows: the tasks that run now, and the last ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, Q, Subquery, Sum

from tasks.choices import OPEN_STATES, State
from tasks.lanes import queues_of
from tasks.models import Task
from tasks.scopes import Reader, shown_to

OPEN_SHOWN = 2
RECENT_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Dock:
    """`open`: tasks that run or wait, running ones first; `recent`: the last ones of any state, newest first."""

    open: Sequence[Task]
    recent: Sequence[Task]
    running: int
    waiting: int

    @property
    def newest(self) -> int:
        """The id of the newest task, 0 when there is none."""
        return self.recent[0].pk if self.recent else 0

    @property
    def checksum(self) -> int:
        """A revision that changes with what is shown; below 2^53, so that browsers keep it exactly."""
        shown = (*self.open, *self.recent)
        rows = [(task.pk, task.rev, task.__dict__["below"], task.__dict__["in_line"]) for task in shown]
        digest = hashlib.blake2b(repr((self.running, self.waiting, rows)).encode(), digest_size=6)
        return int.from_bytes(digest.digest()) or 1

    @property
    def more(self) -> int:
        """How many open tasks are not named."""
        return self.running + self.waiting - len(self.open)


NOTHING = Dock([], [], 0, 0)


def read(reader: Reader) -> Dock:
    """The open tasks and the last ones that the reader sees: one query, two more when one of them waits for a lane.

    Tasks of a bulk action are counted by their parent; `below` grows when one of them changes.
    """
    top = shown_to(reader, Task.objects.filter(parent=None).order_by("-pk"))
    last = top.values("pk")[:RECENT_SHOWN]
    below = shown_to(reader, Task.objects.filter(parent=OuterRef("pk")))
    children = below.order_by().values("parent").annotate(all=Sum("rev"))
    wanted = top.filter(Q(state__in=OPEN_STATES) | Q(pk__in=last)).annotate(below=Subquery(children.values("all")))
    rows = list(wanted.defer("params", "figures", "traceback", "phases", "facts"))
    is_open = [task for task in reversed(rows) if task.is_open]
    running = [task for task in is_open if is_active(task)]
    waiting = [task for task in is_open if not is_active(task)]
    shown = Dock((running + waiting)[:OPEN_SHOWN], rows[:RECENT_SHOWN], len(running), len(waiting))
    queues = queues_of([*shown.open, *shown.recent], reader)
    for task in (*shown.open, *shown.recent):
        task.__dict__["in_line"] = queues.get(task.pk)
    return shown


def is_active(task: Task) -> bool:
    """Whether something is being done: a worker has the task, or its children are at work."""
    return task.state == State.RUNNING or (task.state == State.WAITING and task.waits_for_children)
