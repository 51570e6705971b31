"""The sign of life of a running attempt: a counter, because clocks jump."""

import threading
from contextlib import AbstractContextManager
from types import TracebackType

import structlog
from django.db import DatabaseError, InterfaceError, connection

from tasks.errors import Fenced
from tasks.steps import TaskRun

log = structlog.get_logger("mooring.tasks")
EVERY = 2.0


class Heartbeat(AbstractContextManager[None]):
    """Counts in a thread of its own, with a connection of its own, while the `with` block runs.

    It also learns whether the attempt is over or to be cancelled, and writes progress that was held back.
    """

    def __init__(self, run: TaskRun, every: float | None = None) -> None:
        self._run = run
        self._every = EVERY if every is None else every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count, name=f"heartbeat-{run.task.pk}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _count(self) -> None:
        try:
            while not self._stop.wait(self._every):
                try:
                    self._run.pen.beat()
                    self._run.flush_progress()
                except Fenced:
                    return
                except (DatabaseError, InterfaceError) as error:
                    log.warning("a heartbeat was not written", task=self._run.task.pk, error=str(error))
                    connection.close()
        finally:
            connection.close()
