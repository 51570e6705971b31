"""Progress of a step, written at most every 250 ms."""

import math
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tasks.errors import Fenced
from tasks.models import Task
from tasks.text import clean, clip

if TYPE_CHECKING:
    from tasks.pen import Stamp
    from tasks.steps import Step

WRITE_EVERY = 0.25
LIST_EVERY = 1.0  # seconds between two pokes of the lists of tasks, which show the percentage too


class Progress:
    """The last progress that a step was told, and when it was last written."""

    def __init__(self, step: "Step") -> None:
        self._step = step
        self._lock = threading.RLock()
        self._shown: tuple[int | None, str, dict[str, Any]] | None = None
        self._written: tuple[int | None, str, dict[str, Any]] | None = None
        self._written_at = -WRITE_EVERY
        self._listed_at = -LIST_EVERY
        self._closed = False

    def show(self, percent: float | None, note: str, figures: dict[str, Any]) -> None:
        """Keep the values and write them when 250 ms have passed. A fenced attempt is left to find out later."""
        secrets = self._step.run.secrets
        rounded = None if percent is None else max(0, min(100, int(percent)))
        known = {key: _storable(value, secrets) for key, value in figures.items()}
        with self._lock:
            self._shown = (rounded, clip(note, 250, secrets=secrets), known)
            if self._closed or time.monotonic() - self._written_at < WRITE_EVERY:
                return
        try:
            self.flush()
        except Fenced:
            return

    def flush(self) -> None:
        """Write what was not written yet. Raises Fenced."""
        with self._lock:
            if self._shown is None or self._shown == self._written:
                return
            shown = self._shown
            now = time.monotonic()
            listed = now - self._listed_at >= LIST_EVERY
            self._step.run.pen.write(lambda stamp: self._store(stamp, shown), listed=listed)
            self._written, self._written_at = shown, time.monotonic()
            if listed:
                self._listed_at = now

    def close(self) -> None:
        """Write the last values; what an engine's late callback tells is dropped. Raises Fenced."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.flush()

    def _store(self, stamp: "Stamp", shown: tuple[int | None, str, dict[str, Any]]) -> None:
        percent, note, figures = shown
        self._step.update(stamp, progress=percent, note=note)
        Task.objects.filter(pk=self._step.run.task.pk).update(progress=percent, progress_note=note, figures=figures)


def _storable(value: object, secrets: Collection[str]) -> object:
    """A figure as JSON can carry it; what an engine computed as infinite or not a number is unknown."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, int | float) else clean(value, secrets=secrets)
