"""The history as the page shows it: a strip per part, events, and figures over time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from panel.health.chronicle import GAP, SLOT_SECONDS
from panel.health.models import Reading, Span
from panel.ui import format as fmt
from panel.ui.charts import Chart, chart

RANGES = {"24h": ("24 h", timedelta(hours=24)), "7d": ("7 d", timedelta(days=7))}
WIDTH = 1000
EVENTS = 40
MIB, GIB = 1024**2, 1024**3
_WORDS = {"warn": "warning", "crit": "critical", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a strip, in thousandths of its width."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One part's states; `label` says it in words. `known` is the share of the time that was recorded."""

    stretches: tuple[Stretch, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Event:
    """A change: since when a part is, or was, as `text` says; `lasted` in seconds, None while it lasts."""

    title: str
    state: str
    text: str
    cause: str
    at: datetime
    lasted: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    value: str
    chart: Chart


def spans(now: datetime, length: timedelta) -> list[Span]:
    """All stretches that reach into the time asked for, the oldest first: one query."""
    return list(Span.objects.filter(until__gte=now - length).order_by("since", "pk"))


def strip(found: Iterable[Span], title: str, now: datetime, length: timedelta, words: str) -> Strip:
    """The strip of one part from its stretches."""
    begin, seconds = now - length, length.total_seconds()
    stretches, sums = [], {"ok": 0.0, "warn": 0.0, "crit": 0.0, "unknown": 0.0}
    ordered = list(found)
    for index, span in enumerate(ordered):
        start = max(span.since, begin)
        end = _end(span, ordered[index + 1] if index + 1 < len(ordered) else None, now)
        lasted = max(0.0, (end - start).total_seconds())
        sums[span.state] = sums.get(span.state, 0.0) + lasted
        x = WIDTH * (start - begin).total_seconds() / seconds
        # A short failure must still be seen.
        stretches.append(Stretch(round(x, 1), round(max(WIDTH * lasted / seconds, 1.5), 1), span.state))
    return Strip(tuple(stretches), _sentence(title, sums, seconds, words))


def _end(span: Span, following: Span | None, now: datetime) -> datetime:
    """A stretch reaches to the next one, or to now, unless nothing was written for too long in between."""
    next_at = following.since if following is not None else now
    return next_at if next_at - span.until <= GAP else span.until


def _sentence(title: str, sums: dict[str, float], seconds: float, words: str) -> str:
    known = sum(sums.values())
    if not known:
        return f"{title} over {words}: nothing recorded"
    parts = [f"in order {100 * sums['ok'] / known:.1f}%"]
    parts += [f"{word} for {fmt.coarse(sums[state])}" for state, word in _WORDS.items() if sums.get(state, 0) >= 1]
    if seconds - known > GAP.total_seconds():
        parts.append(f"not recorded for {fmt.coarse(seconds - known)}")
    return f"{title} over {words}: {', '.join(parts)}"


def events(found: Sequence[Span], titles: dict[str, str], now: datetime) -> list[Event]:
    """What changed, the newest first: each stretch but a part's first good one, and times without any record."""
    changes: list[Event] = []
    last: dict[str, Span] = {}
    for span in found:
        before = last.get(span.name)
        last[span.name] = span
        if before is None and span.state == "ok":
            continue
        changes.append(_event(span, before, titles, now))
    recorded = sorted(found, key=lambda span: span.since)
    changes += _gaps(recorded, now)
    return sorted(changes, key=lambda event: event.at, reverse=True)[:EVENTS]


def _event(span: Span, before: Span | None, titles: dict[str, str], now: datetime) -> Event:
    lasts = now - span.until <= GAP
    text = span.text
    if span.state == "ok" and before is not None and before.state != "ok":
        text = f"{span.text} again after {fmt.duration((span.since - before.since).total_seconds())}"
    lasted = None if lasts else (span.until - span.since).total_seconds()
    return Event(titles.get(span.name, span.name), span.state, text, span.cause, span.since, lasted)


def _gaps(ordered: Iterable[Span], now: datetime) -> list[Event]:
    found: list[Event] = []
    reached: datetime | None = None
    for span in ordered:
        if reached is not None and span.since - reached > GAP:
            found.append(_gap(reached, (span.since - reached).total_seconds()))
        reached = max(span.until, reached) if reached else span.until
    if reached is not None and now - reached > GAP:
        found.append(_gap(reached, None))
    return found


def _gap(at: datetime, lasted: float | None) -> Event:
    cause = "The keeper, which writes this history, did not run, or the database could not be written."
    return Event("History", "unknown", "Nothing recorded", cause, at, lasted)


def readings(now: datetime, length: timedelta) -> dict[str, list[float | None]]:
    """Figures by name, evenly spaced over the time asked for: one query."""
    rows = list(Reading.objects.filter(at__gt=now - length, at__lte=now).values_list("at", "figures"))
    points = int(length.total_seconds()) // SLOT_SECONDS
    first = int(now.timestamp()) // SLOT_SECONDS - points + 1
    columns: dict[str, list[float | None]] = {}
    for at, found in rows:
        index = int(at.timestamp()) // SLOT_SECONDS - first
        for name, value in found.items():
            if 0 <= index < points:
                columns.setdefault(name, [None] * points)[index] = value
    return columns


def charts(now: datetime, key: str) -> list[Figure]:
    """The figures of the page over one of RANGES."""
    words, length = RANGES[key]
    found = readings(now, length)
    seconds = int(length.total_seconds())

    def draw(title: str, names: tuple[str, ...], unit: str = "", scale: float = 1) -> Figure:
        columns = [[None if v is None else v / scale for v in found.get(name, ())] for name in names]
        last = [next((v for v in reversed(column) if v is not None), None) for column in columns]
        shown = fmt.NO_DATA if last[0] is None else " / ".join(_value(value, unit) for value in last)
        label = f"{title.removesuffix(f', {unit}')} over {words}, now {shown}"
        return Figure(title, shown, chart(columns, label, seconds=seconds))

    return [
        draw("Tasks: running, queued, waiting", ("running", "queued", "waiting")),
        draw("Database, MiB", ("database",), "MiB", MIB),
        draw("Free on the panel's disk, GiB", ("disk_free",), "GiB", GIB),
        draw("Memory of Redis, MiB", ("redis",), "MiB", MIB),
    ]


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "?"
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"
    return f"{text} {unit}".strip()
