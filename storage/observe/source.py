"""The storage cluster under observation: a look every few seconds, what it tells in the rows and in the series."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import Error
from django.utils import timezone

from infrastructure.drivers.base import DriverError, Refused, within
from infrastructure.observe.contact import Contact
from infrastructure.observe.source import Shard
from panel import series
from panel.trust.errors import TrustError
from storage.drivers.base import Access, StorageCluster
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster
from storage.services import access, observed

log = structlog.get_logger("mooring.observe")
LOOK_SECONDS = 5.0
LOOK_DEADLINE = 4.0
# A look that begins on time and takes all its deadline comes 10 s after the last: more is silence.
SILENT_SECONDS = 12.0
SERIES_SECONDS = 10.0
SLACK_SECONDS = 0.5
_COLUMNS = ("name", "fsid", "monitors", "user", "key", "connected_at")
Open = Callable[[Access], StorageCluster]


@dataclass(slots=True)
class _Answer:
    """What a look found, with when it was begun."""

    at: datetime
    found: ClusterFacts | DriverError


class _Watch:
    """One connected cluster. A look's thread asks the engine only; all else happens in the source's tick."""

    def __init__(self, cluster: Cluster, reached: Access, open_driver: Open, clock: Callable[[], float]) -> None:
        self.cluster = cluster
        self.access = reached
        self.contact = Contact(cluster.name, self._failed, clock, silent=SILENT_SECONDS)
        self._open = open_driver
        self._clock = clock
        self._look_at = clock()
        self._recorded_at = float("-inf")
        self._asked_at = timezone.now()
        self._thread: threading.Thread | None = None
        self._answer: _Answer | None = None

    def tick(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._take(answer)
        self.contact.check()
        looking = self._thread is not None and self._thread.is_alive()
        if not looking and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_SECONDS
            self._asked_at = timezone.now()
            self._thread = threading.Thread(target=self._look, name=f"cluster-{self.cluster.name}", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _look(self) -> None:
        at = self._asked_at
        try:
            with within(LOOK_DEADLINE):
                self._answer = _Answer(at, self._open(self.access).look())
        except DriverError as error:
            self._answer = _Answer(at, error)
        except Exception:
            log.exception("looking at a storage cluster failed", cluster=self.cluster.name)

    def _take(self, answer: _Answer) -> None:
        if isinstance(answer.found, DriverError):
            error = answer.found
            if not self.contact.reported:
                log.warning("a look failed", cluster=self.cluster.name, code=error.code, error=str(error))
            self._asked_at = answer.at
            self.contact.failed(str(error), refused=isinstance(error, Refused))
            return
        self.contact.answered()
        observed.record(self.cluster, answer.found, answer.at)
        if self.contact.reported:
            log.info("a storage cluster answers again", cluster=self.cluster.name)
        self.contact.restored()
        if self._clock() - self._recorded_at >= SERIES_SECONDS - SLACK_SECONDS:
            self._recorded_at = self._clock()
            series.append("cluster", self.cluster.pk, figures(answer.found), answer.at.timestamp())

    def _failed(self, reason: str, refused: bool) -> None:
        mark = observed.mark_refused if refused else observed.mark_unreachable
        try:
            mark(self.cluster, reason, self._asked_at)
        except Error:
            self.contact.restored()  # it was not written: the next tick reports it again
            raise


class ClusterSource:
    """A source of the collector. ``tick`` is called about every second from the collector's thread."""

    name = "clusters"

    def __init__(
        self,
        shard: Shard | None = None,
        *,
        open_driver: Open = access.driver_with,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shard = shard or Shard()
        self._open = open_driver
        self._clock = clock
        self._watches: dict[int, _Watch] = {}

    def start(self) -> None:
        """Threads begin with the first looks."""

    def tick(self) -> None:
        """Begin with clusters that were connected, end with those that are gone, begin anew where access changed."""
        rows = Cluster.objects.filter(connected_at__isnull=False).only(*_COLUMNS)
        connected = {row.pk: row for row in rows if self._shard.holds(row.pk)}
        for pk in self._watches.keys() - connected.keys():
            self._end(pk)
        for row in connected.values():
            watch = self._watches.get(row.pk)
            if watch is not None and _identity(watch.cluster) != _identity(row):
                self._end(row.pk)
                watch = None
            if watch is None:
                watch = self._begin(row)
            if watch is not None:
                watch.tick()

    def stop(self) -> None:
        """End; a thread that is inside a hung call is left behind."""
        for pk, watch in list(self._watches.items()):
            watch.join(LOOK_DEADLINE)
            self._end(pk)

    def status(self) -> Mapping[str, int]:
        """For the sign of life: clusters observed, and how many of them do not answer."""
        late = sum(watch.contact.late for watch in self._watches.values())
        return {"clusters": len(self._watches), "clusters_late": late}

    def _begin(self, row: Cluster) -> _Watch | None:
        try:
            reached = access.access_of(row)
        except TrustError as error:
            observed.mark_refused(row, str(error))
            return None
        watch = self._watches[row.pk] = _Watch(row, reached, self._open, self._clock)
        log.info("observing a storage cluster", cluster=row.name)
        return watch

    def _end(self, pk: int) -> None:
        watch = self._watches.pop(pk)
        access.drop(watch.cluster)
        log.info("a storage cluster is observed no longer", cluster=watch.cluster.name)


def figures(facts: ClusterFacts) -> dict[str, float | None]:
    """A look as values of the series; what a manager must tell is unknown while none answers."""
    if not facts.manager_answers:
        return dict.fromkeys(series.COLUMNS["cluster"])
    latencies = [disk.commit_ms for disk in facts.disks if disk.up and disk.commit_ms is not None]
    return {
        "read_bytes": facts.flow.read_bytes,
        "write_bytes": facts.flow.write_bytes,
        "read_ops": facts.flow.read_ops,
        "write_ops": facts.flow.write_ops,
        "write_ms": sum(latencies) / len(latencies) if latencies else None,
        "used": facts.space.used,
        "available": facts.space.available,
    }


def _identity(cluster: Cluster) -> tuple[object, ...]:
    return tuple(getattr(cluster, name) for name in _COLUMNS)
