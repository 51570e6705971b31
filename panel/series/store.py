"""The store: samples go in, evenly spaced series come out."""

import fcntl
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import rrdtool
import structlog
from django.conf import settings

from panel.series.layout import ARCHIVES, COLUMNS, STEP, Archive, create, is_sound

log = structlog.get_logger("mooring.series")
# A file that is further ahead than this was written by a wrong clock: waiting for it would stop its graphs.
FUTURE_SECONDS = 2 * 3600
# librrd is called by one thread at a time; a call takes about 20 µs.
_library = threading.Lock()
PATIENCE = 1.0  # seconds that a file may be held by another process; an update takes far less


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one object at one moment: ``kind`` and names as in COLUMNS, ``at`` seconds since 1970."""

    kind: str
    id: int
    values: Mapping[str, float | None]
    at: float


@dataclass(frozen=True, slots=True)
class Series:
    """Evenly spaced values. ``times``: seconds since 1970, the end of each interval of ``step`` seconds, rising.

    ``columns``: name → as many values as times; None where nothing was recorded. Without a file: no times, no values.
    """

    times: tuple[int, ...] = ()
    columns: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    step: int = STEP

    def latest(self, column: str) -> float | None:
        """The newest recorded value."""
        return next((value for value in reversed(self.columns[column]) if value is not None), None)


class Store:
    """Files below one folder. Nothing raises for a bad file or a full disk: it is logged and the sample dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._behind: set[Path] = set()  # files ahead of the clock that were already reported

    def path(self, kind: str, id: int) -> Path:
        """A folder holds at most 1,000 files."""
        if kind not in COLUMNS:
            raise ValueError(f"no series are kept of {kind!r}")
        return self._folder / kind / f"{id // 1000:03d}" / f"{id}.rrd"

    def append(self, kind: str, id: int, values: Mapping[str, float | None], at: float) -> bool:
        """Record one sample; False when it was dropped."""
        path = self.path(kind, id)
        given = ":".join(_text(values.get(name)) for name in COLUMNS[kind])
        try:
            with _library:
                self._make_ready(path, int(at), COLUMNS[kind])
                with _held(path, fcntl.LOCK_EX):
                    rrdtool.update(str(path), f"{int(at)}:{given}")
        except rrdtool.OperationalError as error:
            return self._refused(path, int(at), str(error))
        except OSError as error:
            log.warning("a sample could not be recorded", path=str(path), error=str(error))
            return False
        self._behind.discard(path)
        return True

    def append_many(self, samples: Iterable[Sample]) -> int:
        """Record many samples; returns how many were taken."""
        return sum(self.append(sample.kind, sample.id, sample.values, sample.at) for sample in samples)

    def fetch(
        self, kind: str, id: int, seconds: int, points: int = 120, *, peak: bool = False, now: float | None = None
    ) -> Series:
        """The last ``seconds`` in at most ``points`` intervals; ``peak``: highest values, where they are kept."""
        path, names = self.path(kind, id), COLUMNS[kind]
        nothing = Series(columns=dict.fromkeys(names, ()))
        seconds, points = max(seconds, STEP), max(points, 1)
        wanted = max(STEP, math.ceil(seconds / points / STEP) * STEP)
        function = "MAX" if peak and wanted >= 600 else "AVERAGE"
        archive = _archive(function, seconds, wanted)
        end = int(time.time() if now is None else now) // archive.step * archive.step
        start = end - math.ceil(seconds / archive.step) * archive.step
        try:
            with _library, _held(path, fcntl.LOCK_SH):
                if not is_sound(path, names):
                    return nothing
                found = rrdtool.fetch(str(path), function, "-s", str(start), "-e", str(end), "-r", str(archive.step))
        except FileNotFoundError:
            return nothing
        except (rrdtool.OperationalError, OSError) as error:
            log.warning("a series could not be read", path=str(path), error=str(error))
            return nothing
        (first, _last, step), _names, rows = found
        # librrd adds a row for the interval after the end, which has hardly begun.
        rows = [row for index, row in enumerate(rows) if first + (index + 1) * step <= end]
        return _thin(first, step, rows, points, peak, names)

    def remove(self, kind: str, id: int) -> None:
        """Forget an object."""
        try:
            self.path(kind, id).unlink(missing_ok=True)
        except OSError as error:
            log.warning("a series could not be removed", kind=kind, id=id, error=str(error))

    def _make_ready(self, path: Path, at: int, columns: tuple[str, ...]) -> None:
        try:
            if is_sound(path, columns):
                return
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._set_aside(path, "it is damaged, or of another version")
        fresh = path.with_suffix(".new")
        create(fresh, at - STEP, columns)
        fresh.replace(path)  # whoever reads meanwhile never meets half a file

    def _refused(self, path: Path, at: int, error: str) -> bool:
        if "illegal attempt to update" not in error:
            log.warning("a sample could not be recorded", path=str(path), error=error)
            return False
        try:
            with _library:
                ahead = int(rrdtool.last(str(path))) - at
                if ahead > FUTURE_SECONDS:
                    self._set_aside(path, f"its last sample is {ahead} s in the future")
                    return False
        except (rrdtool.OperationalError, OSError) as failure:
            log.warning("a sample could not be recorded", path=str(path), error=str(failure))
            return False
        if ahead > STEP and path not in self._behind:
            self._behind.add(path)
            log.warning("the clock was set back; samples are dropped until it catches up", path=str(path), ahead=ahead)
        return False

    def _set_aside(self, path: Path, why: str) -> None:
        kept = path.with_suffix(f".broken-{int(time.time())}")
        path.replace(kept)
        log.error("a series file was set aside and begun anew", path=str(path), kept=str(kept), reason=why)


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    """Let no other process change the file, nor read it with LOCK_EX.

    librrd takes no lock to read: where a file is changed at that moment, it writes past what it made room for and ends
    the process. Raises FileNotFoundError, and BlockingIOError when somebody else holds it for PATIENCE seconds.
    """
    end = time.monotonic() + PATIENCE
    with path.open("rb") as file:
        while True:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.001)
        yield


def _text(value: float | None) -> str:
    return "U" if value is None or not math.isfinite(value) or value < 0 else f"{value:.10g}"


def _archive(function: str, seconds: int, wanted: int) -> Archive:
    """The finest archive that reaches back far enough and is not needlessly fine."""
    reaching = [a for a in ARCHIVES if a.function == function and a.span >= seconds]
    if not reaching:
        return [a for a in ARCHIVES if a.function == function][-1]
    coarse_enough = [a for a in reaching if a.step <= wanted]
    return coarse_enough[-1] if coarse_enough else reaching[0]


def _thin(
    first: int, step: int, rows: list[tuple[float | None, ...]], points: int, peak: bool, names: tuple[str, ...]
) -> Series:
    """Merge rows so that at most ``points`` remain; the newest interval is always whole."""
    merged = max(1, math.ceil(len(rows) / points))
    skipped = len(rows) % merged
    groups = [rows[index : index + merged] for index in range(skipped, len(rows), merged)]
    combine: Callable[[list[float]], float] = max if peak else _mean
    columns = {
        name: tuple(_combined([row[column] for row in group], combine) for group in groups)
        for column, name in enumerate(names)
    }
    times = tuple(first + step * (skipped + merged * (index + 1)) for index in range(len(groups)))
    return Series(times, columns, step * merged)


def _combined(values: list[float | None], combine: Callable[[list[float]], float]) -> float | None:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return combine(known) if known else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@cache
def _store_in(folder: Path) -> Store:
    return Store(folder)


def _store() -> Store:
    return _store_in(Path(settings.RRD_DIR))


def append(kind: str, id: int, values: Mapping[str, float | None], at: float) -> bool:
    """Record one sample in the panel's store; False when it was dropped. Never raises for a bad file."""
    return _store().append(kind, id, values, at)


def append_many(samples: Iterable[Sample]) -> int:
    """Record many samples in the panel's store; returns how many were taken."""
    return _store().append_many(samples)


def fetch(kind: str, id: int, seconds: int, points: int = 120, *, peak: bool = False) -> Series:
    """The last ``seconds`` of one object in at most ``points`` intervals."""
    return _store().fetch(kind, id, seconds, points, peak=peak)


def remove(kind: str, id: int) -> None:
    """Forget an object's series."""
    _store().remove(kind, id)
