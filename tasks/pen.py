"""The one hand with which an attempt writes: each write proves, in its transaction, that the attempt still counts."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from tasks import publish
from tasks.choices import State
from tasks.closing import hold_parent
from tasks.errors import Fenced

log = structlog.get_logger("mooring.tasks")
T = TypeVar("T")
Line = tuple[int, int | None, int, str, str, datetime, int]
LONGEST_PAUSE = 2.0

# The log is numbered by the same statement that proves the attempt, so steps and lines are contiguous by construction.
_GUARD = """
UPDATE tasks_task SET rev = rev + 1, log_length = log_length + %s
WHERE id = %s AND attempt = %s AND state = %s
RETURNING rev, log_length, cancel_requested_at
"""
_LINE = """
INSERT INTO tasks_taskline (task_id, step_id, seq, level, text, at, rev) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_LOOK = "SELECT cancel_requested_at FROM tasks_task WHERE id = %s AND attempt = %s AND state = %s"
_BEAT = """
UPDATE tasks_task SET heartbeat = heartbeat + 1
WHERE id = %s AND attempt = %s AND state = %s
RETURNING cancel_requested_at
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """`rev` of this write; `seq` of the first of the entries it adds to the log."""

    rev: int
    seq: int


class Pen:
    """Writes for one attempt of one task. Safe from any thread.

    fenced: this attempt was found to be over. cancel_requested: somebody asked to cancel, as of the last write.
    """

    def __init__(self, task_id: int, attempt: int, parent_id: int | None = None) -> None:
        self.task_id = task_id
        self.parent_id = parent_id
        self.attempt = attempt
        self.fenced = False
        self.cancel_requested = False
        self.looked_at = time.monotonic()
        self._owner = threading.get_ident()

    def write(self, change: Callable[[Stamp], T], *, entries: int = 0, listed: bool = False, ends: bool = False) -> T:
        """Run `change` in one transaction with the proof; raises Fenced, and writes nothing, when there is none.

        ends: it may end the task, and so its parent.
        While the database is away it is tried again: the engine's work goes on meanwhile and is recorded afterwards.
        """
        return self._persist(lambda: self._write_once(change, entries, listed, ends))

    def beat(self) -> None:
        """Count one heartbeat; raises Fenced. A database error is raised as it is: the next beat comes soon."""
        self._prove(_BEAT, (self.task_id, self.attempt, State.RUNNING))

    def look(self) -> None:
        """Learn whether the attempt still counts and whether to cancel; raises Fenced."""
        self._persist(lambda: self._prove(_LOOK, (self.task_id, self.attempt, State.RUNNING)))

    @contextmanager
    def atomic(self) -> Iterator[Stamp]:
        """A transaction of the caller's own writes that begins with the proof; raises Fenced."""
        with transaction.atomic():
            yield self._guard(0, listed=False)

    def _write_once(self, change: Callable[[Stamp], T], entries: int, listed: bool, ends: bool) -> T:
        with transaction.atomic():
            if ends:
                hold_parent(self.parent_id)
            return change(self._guard(entries, listed))

    def _guard(self, entries: int, listed: bool) -> Stamp:
        rev, length = self._prove(_GUARD, (entries, self.task_id, self.attempt, State.RUNNING))
        publish.after_commit(self.task_id, rev, listed=listed, parent_id=self.parent_id)
        return Stamp(rev, length - entries + 1)

    def _prove(self, statement: str, values: tuple[int | str, ...]) -> tuple[int, ...]:
        if self.fenced:
            raise Fenced(f"attempt {self.attempt} of task {self.task_id} is over")
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone()
        if row is None:
            self.fenced = True
            raise Fenced(f"attempt {self.attempt} of task {self.task_id} is over")
        self.cancel_requested = row[-1] is not None
        self.looked_at = time.monotonic()
        return tuple(row[:-1])

    def _persist(self, attempt: Callable[[], T]) -> T:
        pause = 0.1
        try:
            while True:
                try:
                    return attempt()
                except (OperationalError, InterfaceError) as error:
                    if connection.in_atomic_block:
                        raise
                    log.warning("the database did not take a write; trying again", task=self.task_id, error=str(error))
                    connection.close()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            if threading.get_ident() != self._owner and not connection.in_atomic_block:
                connection.close()  # a driver's thread; nobody else would close what was opened for it


def insert_lines(rows: Sequence[Line]) -> None:
    """Insert rows of TaskLine: (task, step, seq, level, text, at, rev). Call it in a write.

    A job may tell more than a thousand lines a second, each a transaction of its own: the model layer would cost more
    than the rest of the write together.
    """
    moment = connection.ops.adapt_datetimefield_value(rows[0][5])
    with connection.cursor() as cursor:
        cursor.executemany(_LINE, [(*row[:5], moment, row[6]) for row in rows])
