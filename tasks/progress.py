"""Progress of a step, written at most twice a second."""

import math
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from tasks.errors import Fenced
from tasks.models import Task
from tasks.samples import Samples
from tasks.text import clean, clip

if TYPE_CHECKING:
    from tasks.pen import Stamp
    from tasks.steps import Step

WRITE_EVERY = 0.5
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
        self._samples = Samples()
        self._sampled = False  # samples were taken that are not written yet
        self._closed = False

    def show(self, percent: float | None, note: str, figures: dict[str, Any]) -> None:
        """Keep the values and write them when half a second has passed. A fenced attempt is left to find out later."""
        secrets = self._step.run.secrets
        rounded = None if percent is None else max(0, min(100, int(percent)))
        known = {key: _storable(value, secrets) for key, value in figures.items()}
        with self._lock:
            self._shown = (rounded, clip(note, 250, secrets=secrets), known)
            if not self._closed and self._samples.take(known, time.monotonic(), timezone.now()):
                self._sampled = True
            if self._closed or time.monotonic() - self._written_at < WRITE_EVERY:
                return
        try:
            self.flush()
        except Fenced:
            return

    def flush(self) -> None:
        """Write what was not written yet. Raises Fenced."""
        with self._lock:
            if self._shown is None or (self._shown == self._written and not self._sampled):
                return
            shown = self._shown
            samples = self._samples.row() if self._sampled else None
            now = time.monotonic()
            listed = now - self._listed_at >= LIST_EVERY
            self._step.run.pen.write(lambda stamp: self._store(stamp, shown, samples), listed=listed)
            self._written, self._written_at = shown, time.monotonic()
            self._sampled = False
            if listed:
                self._listed_at = now

    def close(self) -> None:
        """Write the last values; what an engine's late callback tells is dropped. Raises Fenced."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.flush()

    def _store(
        self, stamp: "Stamp", shown: tuple[int | None, str, dict[str, Any]], samples: dict[str, Any] | None
    ) -> None:
        percent, note, figures = shown
        task: dict[str, Any] = {"progress": percent, "progress_note": note}
        step: dict[str, Any] = {"progress": percent, "note": note}
        if figures:  # a later step that has none leaves those of the one before on the page
            task["figures"] = figures
        if samples is not None:
            step["samples"], task["samples_rev"] = samples, stamp.rev
        self._step.update(stamp, **step)
        Task.objects.filter(pk=self._step.run.task.pk).update(**task)


def _storable(value: object, secrets: Collection[str]) -> object:
    """A figure as JSON can carry it; what an engine computed as infinite or not a number is unknown."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, int | float) else clean(value, secrets=secrets)
