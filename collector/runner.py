"""The collector's main loop: it supervises the sources and leaves a sign of life. The work is done by their threads."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import Error, connection

from collector.sources import Source
from panel.health.services import beat

log = structlog.get_logger("mooring.collector")
TICK_SECONDS = 1.0
BEAT_SECONDS = 5.0


class Runner:
    """``run`` returns after ``stop``, which may be called from a signal handler or another thread."""

    def __init__(
        self, sources: Sequence[Source], name: str = "collector", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = sources
        self._name = name
        self._clock = clock
        self._stopped = threading.Event()
        self._beat_at = clock()
        self._failing: set[str] = set()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        """Start the sources, supervise them until stopped, end them."""
        for source in self._sources:
            source.start()
        log.info("collecting", sources=[source.name for source in self._sources])
        try:
            while not self._stopped.is_set():
                self.tick()
                self._stopped.wait(TICK_SECONDS)
        finally:
            for source in self._sources:
                source.stop()
            connection.close()
        log.info("the collector has ended")

    def tick(self) -> None:
        """One round: every source, then the sign of life when it is due. A failure of one does not stop the others."""
        for source in self._sources:
            self._guarded(source.name, source.tick)
        if self._clock() >= self._beat_at:
            self._beat_at = self._clock() + BEAT_SECONDS
            self._guarded("beat", self._beat)

    def _beat(self) -> None:
        detail: dict[str, int] = {}
        for source in self._sources:
            detail |= source.status()
        beat(self._name, **detail)

    def _guarded(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Error as error:
            if what not in self._failing:
                log.error("the database does not answer; the collector goes on", part=what, error=str(error))
            self._failing.add(what)
            self._close()
        except Exception:
            log.exception("a part of the collector failed", part=what)
            self._failing.add(what)
        else:
            if what in self._failing:
                self._failing.discard(what)
                log.info("a part of the collector works again", part=what)

    def _close(self) -> None:
        try:
            connection.close()
        except Error as error:
            log.debug("a broken connection could not be closed", error=str(error))
