"""Writes down once a minute how the parts are, with figures every few minutes; after a week it is written over.

States are kept as stretches of time, which are few while nothing happens, and the first second of a stretch is the
event. While nobody writes, because the keeper or the database is down, there is no stretch: the page shows a gap.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from panel.health.checks import Part
from panel.health.machine import figures, full_report
from panel.health.models import Reading, Span

EVERY_SECONDS = 60.0
FIRST_AFTER_SECONDS = 20.0  # when all are started together, none is late yet
GAP = timedelta(seconds=150)  # without a sample for so long, what was between is not known
KEPT = timedelta(days=7)
SPANS_A_PART = 1000  # should a part flap
SLOT_SECONDS = 300
SLOTS = int(KEPT.total_seconds()) // SLOT_SECONDS


class Chronicle:
    """`tick` is called about every second by one process and seldom does anything."""

    def __init__(
        self,
        more: Callable[[], Mapping[str, float]] = dict,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`more`: further figures, of an app above."""
        self._more = more
        self._clock = clock
        self._due = clock() + FIRST_AFTER_SECONDS

    def tick(self) -> None:
        """Write when it is time. Raises database errors, after which the next tick tries again."""
        if self._clock() < self._due:
            return
        parts = full_report().parts
        found = {**figures(), **self._more()}
        record(parts, found, timezone.now())
        self._due = self._clock() + EVERY_SECONDS


def record(parts: Iterable[Part], found: Mapping[str, float], at: datetime) -> None:
    """Write one sample down, and drop what is too old."""
    with transaction.atomic():
        known = {span.name: span for span in Span.objects.filter(until__gt=at - GAP).order_by("until", "pk")}
        for part in parts:
            span = known.get(part.name)
            # A clock that was set back must not make a stretch end before it began.
            if span is not None and span.state == part.state:
                Span.objects.filter(pk=span.pk).update(until=max(at, span.until))
            else:
                _begin(part, at)
        slot = int(at.timestamp()) // SLOT_SECONDS % SLOTS
        Reading.objects.update_or_create(slot=slot, defaults={"at": at, "figures": dict(found)})
        Span.objects.filter(until__lt=at - KEPT).delete()


def _begin(part: Part, at: datetime) -> None:
    Span.objects.create(
        name=part.name, state=part.state, text=part.text[:120], cause=part.cause[:500], since=at, until=at
    )
    kept = Span.objects.filter(name=part.name).order_by("-until", "-pk").values_list("pk", flat=True)[:SPANS_A_PART]
    if len(kept) == SPANS_A_PART:
        Span.objects.filter(name=part.name).exclude(pk__in=list(kept)).delete()
