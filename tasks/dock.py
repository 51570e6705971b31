"""What the dock at the foot of every page shows: the tasks that run now, and the last ones."""

import hashlib
from dataclasses import dataclass

from django.db.models import Q

from tasks.choices import OPEN_STATES, State
from tasks.models import Task

OPEN_SHOWN = 2
RECENT_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Dock:
    """`open`: tasks that run or wait, running ones first; `recent`: the last ones of any state, newest first."""

    open: list[Task]
    recent: list[Task]
    running: int
    waiting: int

    @property
    def newest(self) -> int:
        """The id of the newest task, 0 when there is none."""
        return self.recent[0].pk if self.recent else 0

    @property
    def checksum(self) -> int:
        """A revision that changes with what is shown; below 2^53, so that browsers keep it exactly."""
        rows = [(task.pk, task.rev) for task in (*self.open, *self.recent)]
        digest = hashlib.blake2b(repr((self.running, self.waiting, rows)).encode(), digest_size=6)
        return int.from_bytes(digest.digest()) or 1

    @property
    def more(self) -> int:
        """How many open tasks are not named."""
        return self.running + self.waiting - len(self.open)


NOTHING = Dock([], [], 0, 0)


def read() -> Dock:
    """One query: the open tasks and the last ones. Tasks of a bulk action are counted by their parent."""
    top = Task.objects.filter(parent=None).order_by("-pk")
    last = top.values("pk")[:RECENT_SHOWN]
    rows = list(top.filter(Q(state__in=OPEN_STATES) | Q(pk__in=last)).defer("params", "figures", "traceback"))
    is_open = [task for task in reversed(rows) if task.is_open]
    running = [task for task in is_open if is_active(task)]
    waiting = [task for task in is_open if not is_active(task)]
    return Dock((running + waiting)[:OPEN_SHOWN], rows[:RECENT_SHOWN], len(running), len(waiting))


def is_active(task: Task) -> bool:
    """Whether something is being done: a worker has the task, or its children are at work."""
    return task.state == State.RUNNING or (task.state == State.WAITING and task.waits_for_children)
