"""The keeper: what sees to it that every task comes to an end, whatever dies. It needs the database only."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import structlog
from django.db import close_old_connections, connection, transaction

from panel.health.chronicle import Chronicle
from panel.health.services import beat
from tasks import lanes
from tasks.backlog import backlog
from tasks.choices import State
from tasks.closing import settle
from tasks.models import Task
from tasks.reaper import Reaper
from tasks.sweeper import Sweeper

log = structlog.get_logger("mooring.keeper")
EVERY = 1.0
BEAT_EVERY = 5  # rounds
LONGEST_PAUSE = 10.0


class Keeper:
    """Sweeps, admits, reaps and settles once a second until it is stopped; once a minute it writes the health down."""

    def __init__(self, *, sweeper: Sweeper | None = None, reaper: Reaper | None = None, every: float = EVERY) -> None:
        self._sweeper = sweeper or Sweeper()
        self._reaper = reaper or Reaper()
        self._chronicle = Chronicle(backlog)
        self._every = every
        self._stop = threading.Event()
        self._rounds = 0

    def run(self) -> None:
        """Return when `stop` was called; a round that fails is logged, and the next one waits longer."""
        pause = self._every
        while not self._stop.is_set():
            pause = self._every if self.round() else min(2 * pause, LONGEST_PAUSE)
            self._stop.wait(pause)
        connection.close()

    def stop(self) -> None:
        self._stop.set()

    def stop_on_signals(self) -> None:
        """Have SIGTERM and SIGINT end the loop after its present round."""

        def ask(number: int, frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)

    def round(self) -> bool:
        """Do each duty once; whether all of them could be done. One that fails does not keep the others from it."""
        close_old_connections()
        duties: list[Callable[[], object]] = [self._reaper.look, settle_parents, lanes.admit, self._sweeper.sweep]
        if self._rounds % BEAT_EVERY == 0:
            duties.append(lambda: beat("keeper"))
        duties.append(self._chronicle.tick)
        done = [self._do(duty) for duty in duties]
        self._rounds += 1 if all(done) else 0
        return all(done)

    def _do(self, duty: Callable[[], object]) -> bool:
        try:
            duty()
        except Exception:
            log.exception("a duty of the keeper failed; it is tried again")
            with suppress(Exception):
                connection.close()
            return False
        return True


def settle_parents() -> None:
    """End the parents whose children have ended, should a worker have died between the two."""
    waiting = Task.objects.filter(state=State.WAITING, waits_for_children=True)
    for parent_id in waiting.exclude(children__state__in=(State.WAITING, State.QUEUED, State.RUNNING)).values_list(
        "pk", flat=True
    ):
        with transaction.atomic():
            settle(parent_id)
