"""Geometry of sparklines and charts. The server draws them as SVG, so that they need neither script nor style."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Values = Sequence[float | None]
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Grid:
    """A horizontal line and its label."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of the time axis."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its path, and the path of the area below it for the first one."""

    number: int
    path: str
    area: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What components/_chart.html draws. Without any value it says so instead."""

    width: int
    height: int
    left: int
    right: int
    label: str
    lines: tuple[Line, ...]
    grid: tuple[Grid, ...]
    ticks: tuple[Tick, ...] = ()

    @property
    def empty(self) -> bool:
        return not any(line.path for line in self.lines)


def sparkline(series: Sequence[Values], label: str, maximum: float | None = None) -> Chart:
    """A small chart without axes; `maximum` fixes the top, otherwise the highest value does."""
    top = maximum or _highest(series) or 1.0
    lines = _lines(series, top, box=(0, 256, 46, 6))
    return Chart(260, 50, 0, 256, label, lines, (Grid(46, ""),))


def chart(series: Sequence[Values], label: str, *, seconds: int, unit: str = "", maximum: float | None = None) -> Chart:
    """A chart with three grid lines and a time axis that ends now. Values are in the axis' unit already."""
    top = maximum or nice_maximum(_highest(series))
    grid = (
        Grid(74, "0"),
        Grid(41, _axis(top / 2, "%" if unit == "%" else "")),
        Grid(8, _axis(top, "" if unit == "%" else unit)),
    )
    ticks = (
        Tick(34, f"-{_span(seconds)}", "start"),
        Tick(205, f"-{_span(seconds // 2)}", "middle"),
        Tick(376, "now", "end"),
    )
    return Chart(380, 92, 34, 376, label, _lines(series, top, box=(34, 376, 74, 8)), grid, ticks)


def nice_maximum(highest: float) -> float:
    """The next of 1, 2, 4, 6, 10 × a power of ten: figures that halve well.

    Below a hundredth it is 1: a scale of millionths would make noise look like load.
    """
    if highest < 0.01:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 4, 6, 10, 20) if step * power >= highest)


def _highest(series: Sequence[Values]) -> float:
    return max((value for values in series for value in values if value is not None), default=0.0)


def _lines(series: Sequence[Values], top: float, box: tuple[float, float, float, float]) -> tuple[Line, ...]:
    drawn = [_paths(values, top, box, with_area=index == 0) for index, values in enumerate(series)]
    return tuple(Line(number, path, area) for number, (path, area) in enumerate(drawn, 1))


def _paths(values: Values, top: float, box: tuple[float, float, float, float], *, with_area: bool) -> tuple[str, str]:
    """The line's path, interrupted where nothing was recorded, and the area's."""
    left, right, bottom, ceiling = box
    step = (right - left) / max(1, len(values) - 1)
    line, area = [], []
    for start, run in _runs(values):
        points = [
            f"{left + (start + index) * step:.1f} {bottom - min(1.0, max(0.0, value / top)) * (bottom - ceiling):.1f}"
            for index, value in enumerate(run)
        ]
        if len(points) == 1:
            points.append(points[0])  # a lone sample is a dot, drawn by the round line cap
        line.append("M" + "L".join(points))
        if with_area:
            first, last = left + start * step, left + (start + len(run) - 1) * step
            area.append(f"M{'L'.join(points)}L{last:.1f} {bottom:.0f}L{first:.1f} {bottom:.0f}z")
    return "".join(line), "".join(area)


def _runs(values: Values) -> list[tuple[int, list[float]]]:
    """Stretches without gaps: (index of the first, values)."""
    runs: list[tuple[int, list[float]]] = []
    previous: float | None = None
    for index, value in enumerate(values):
        if value is not None:
            if previous is None:
                runs.append((index, []))
            runs[-1][1].append(value)
        previous = value
    return runs


def _axis(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"
    return f"{text}%" if unit == "%" else f"{text} {unit}".strip()


def _span(seconds: int) -> str:
    """ "30 min", "6 h", "7 d"; half spans may be fractions of a day."""
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:g} d"
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"
