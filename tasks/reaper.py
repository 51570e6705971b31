"""Take over the tasks whose worker died.

A worker counts its heartbeat in the task's row. The reaper looks at the counters every second and judges by its own
monotonic clock how long one has stood still, so a jump of the wall clock reaps nobody. Only time in which a worker
could have written counts: the reaper writes itself before it looks. After the database was locked, full or away, or
after the keeper itself was stopped, workers get their chance to beat first.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from panel.health.services import beat
from tasks import messages, publish
from tasks.choices import Level, State, StepState
from tasks.closing import hold_parent, release
from tasks.models import Task, TaskLine, TaskStep
from tasks.runner import MOST_RECOVERIES

log = structlog.get_logger("mooring.keeper")
LONGEST_LOOK = 2.0  # seconds between two looks that count at most
SLOW_WRITE = 1.0  # seconds; a database that took longer for one row kept the workers waiting too


@dataclass(slots=True)
class Seen:
    """The counter of one attempt and for how many seconds it was seen to stand still."""

    attempt: int
    heartbeat: int
    still: float = 0.0


class Reaper:
    """What it has seen so far; a new one knows nothing and observes anew."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        after: float | None = None,
        write: Callable[[], object] = lambda: beat("reaper"),
    ) -> None:
        """`write` puts one row into the database, as a worker's sign of life does, or raises."""
        self._clock = clock
        self._write = write
        self._after = float(settings.TASK_REAP_AFTER) if after is None else after
        self._looked_at: float | None = None
        self._seen: dict[int, Seen] = {}

    def look(self) -> list[int]:
        """Look once at every running task; returns the ids of those taken over. Raises DatabaseError."""
        if self._seen and not self._workers_can_write():
            self._seen = {}
        rows = Task.objects.filter(state=State.RUNNING).values_list("pk", "attempt", "heartbeat")
        beats = {pk: (attempt, heartbeat) for pk, attempt, heartbeat in rows}
        now = self._clock()
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, LONGEST_LOOK)
        self._looked_at = now
        self._seen = {pk: self._judge(pk, *beat, passed) for pk, beat in beats.items()}
        dead = [pk for pk, seen in self._seen.items() if seen.still >= self._after]
        return [pk for pk in dead if take_over(pk, self._seen[pk].attempt, self._seen[pk].heartbeat, self._after)]

    def _workers_can_write(self) -> bool:
        """Whether the database takes a row now, and at once; raises, and forgets what was seen, when it takes none."""
        seen, self._seen = self._seen, {}
        began = self._clock()
        self._write()
        self._seen = seen
        return self._clock() - began <= SLOW_WRITE

    def _judge(self, pk: int, attempt: int, heartbeat: int, passed: float) -> Seen:
        seen = self._seen.get(pk)
        if seen is None or (seen.attempt, seen.heartbeat) != (attempt, heartbeat):
            return Seen(attempt, heartbeat)
        seen.still += passed
        return seen


def take_over(task_id: int, attempt: int, heartbeat: int, after: float) -> bool:
    """Queue the task for an attempt that asks the engine first, unless its worker has stirred meanwhile.

    From the commit on the old worker can write nothing: the row is not running, and will have another attempt number.
    """
    silent = f"The worker that ran attempt {attempt} gave no sign of life for {after:g} s"
    with transaction.atomic():
        hold_parent(Task.objects.filter(pk=task_id).values_list("parent_id", flat=True).first())
        rows = Task.objects.filter(pk=task_id, attempt=attempt, heartbeat=heartbeat, state=State.RUNNING)
        taken = rows.filter(recoveries__lt=MOST_RECOVERIES + 1).update(
            state=State.QUEUED,
            recovering=True,
            recoveries=F("recoveries") + 1,
            rev=F("rev") + 1,
            log_length=F("log_length") + 1,
            sends=1,
            sent_at=timezone.now(),
        )
        if not taken and not _give_up(task_id, attempt, heartbeat):
            return False
        task = Task.objects.get(pk=task_id)
        text = f"{silent}; {'asking the engine what is true' if taken else 'it is not tried again'}"
        TaskLine.objects.create(
            task=task, seq=task.log_length, level=Level.WARNING, text=text, at=timezone.now(), rev=task.rev
        )
        TaskStep.objects.filter(task=task, state=StepState.RUNNING).update(
            state=StepState.LOST, finished_at=timezone.now(), rev=task.rev
        )
        publish.after_commit(task_id, task.rev, listed=True, parent_id=task.parent_id)
        if taken:
            messages.send_after_commit(task_id, task.queue)
    log.warning("a task was taken over from a dead worker", task=task_id, attempt=attempt, worker=task.worker)
    return True


def _give_up(task_id: int, attempt: int, heartbeat: int) -> bool:
    """End a task that has taken every worker with it, also those that were to find out what it left behind."""
    rows = Task.objects.filter(pk=task_id, attempt=attempt, heartbeat=heartbeat, state=State.RUNNING)
    ended = rows.update(
        state=State.LOST,
        rev=F("rev") + 1,
        log_length=F("log_length") + 1,
        finished_at=timezone.now(),
        ending="",
        reason="Every worker that took up this task died, the last one while it was finding out what is true.",
        advice="Look at the object's present state and at the workers' logs before you retry the task.",
    )
    if ended:
        release(task_id, Task.objects.values_list("parent_id", flat=True).get(pk=task_id))
    return bool(ended)
