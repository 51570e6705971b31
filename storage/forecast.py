"""When the cluster will be full: a straight line through the space used so far, and its chart. Pure functions.

Times are seconds since 1970, sizes bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from panel.ui import format as fmt

DAY = 86400
HISTORY_DAYS = 90
FAR_DAYS = 5 * 365  # a straight line says nothing about what is later
SOON_DAYS = 30

Samples = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Trend:
    """`per_day`: bytes that come every day; `days`: until `limit` is reached, None when that is not in sight."""

    per_day: float
    days: float | None
    now: float
    limit: float

    @property
    def soon(self) -> bool:
        return self.days is not None and self.days <= SOON_DAYS

    @property
    def words(self) -> str:
        if self.now >= self.limit:
            return "The cluster is full"
        if self.days is None:
            return "Not full within 5 years" if self.per_day > 0 else "Use does not grow"
        return f"Cluster full in {fmt.count(max(1, round(self.days)), 'day')}"

    @property
    def growth(self) -> str:
        sign = "+" if self.per_day >= 0 else "−"
        return f"{sign}{fmt.space(abs(self.per_day))} per day"


def known(times: Sequence[int], values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(float(time), value) for time, value in zip(times, values, strict=True) if value is not None]


def trend(samples: Samples, limit: float) -> Trend | None:
    """The least-squares line through (time, used); None with less than a day of history."""
    if len(samples) < 3 or samples[-1][0] - samples[0][0] < DAY:
        return None
    mean_t = sum(at for at, _ in samples) / len(samples)
    mean_v = sum(value for _, value in samples) / len(samples)
    spread = sum((at - mean_t) ** 2 for at, _ in samples)
    per_second = sum((at - mean_t) * (value - mean_v) for at, value in samples) / spread
    per_day, now = per_second * DAY, samples[-1][1]
    days = (limit - now) / per_day if per_day > 0 and now < limit else None
    return Trend(per_day, days if days is not None and days <= FAR_DAYS else None, now, limit)


@dataclass(frozen=True, slots=True)
class ForecastChart:
    """What storage/_forecast_chart.html draws: the past, the line ahead (dashed), the limit."""

    label: str
    line: str
    area: str
    ahead: str
    limit_y: float
    limit_words: str
    now_x: float
    now_y: float
    now_words: str
    now_anchor: str
    grid: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str, str], ...]


LEFT, RIGHT, TOP, BOTTOM = 52.0, 516.0, 15.0, 114.0


def chart(samples: Samples, found: Trend, total: float, limit_percent: float) -> ForecastChart:
    """From the first sample to the day it is full, or twice the past ahead when that is further away."""
    begin, now = samples[0][0], samples[-1][0]
    ahead = 2 * (now - begin)
    if found.days is not None:
        ahead = min(ahead, found.days * DAY)
    end = now + max(ahead, (now - begin) / 4)

    def x(at: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (at - begin) / (end - begin), 1)

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, value / total if total else 0.0)), 1)

    points = "L".join(f"{x(at)} {y(value)}" for at, value in samples)
    last = found.now + found.per_day * (end - now) / DAY
    full = f", full in {round(found.days)} days" if found.days is not None else ""
    late = x(now) > 400
    return ForecastChart(
        label=f"Space used since {_day(begin)}, today {fmt.space(found.now)}, {found.growth}{full}",
        line=f"M{points}",
        area=f"M{points}L{x(now)} {BOTTOM:.0f}L{LEFT:.0f} {BOTTOM:.0f}z",
        ahead=f"M{x(now)} {y(found.now)}L{x(end)} {y(last)}",
        limit_y=y(found.limit),
        limit_words=f"{limit_percent:.0f}%, new data is refused",
        now_x=x(now),
        now_y=y(found.now),
        now_words=f"today, {fmt.space(found.now)}",
        now_anchor="end" if late else "start",
        grid=((BOTTOM, "0"), (y(total / 2), fmt.space(total / 2)), (TOP, fmt.space(total))),
        ticks=(
            (LEFT, _day(begin), "start"),
            (round((LEFT + RIGHT) / 2, 1), _day((begin + end) / 2), "middle"),
            (RIGHT, _day(end), "end"),
        ),
    )


def _day(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%b} {moment.day}"
