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
    left = max(34, 7 * max(len(line.label) for line in grid))  # the axis' words stand before it
    ticks = (
        Tick(left, f"-{_span(seconds)}", "start"),
        Tick((left + 376) // 2, f"-{_span(seconds // 2)}", "middle"),
        Tick(376, "now", "end"),
    )
    return Chart(380, 92, left, 376, label, _lines(series, top, box=(left, 376, 74, 8)), grid, ticks)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a logarithmic chart; `kind` is past, now or coming (a forecast, drawn dashed)."""

    x: float
    y: float
    width: float
    height: float
    text: str
    tick: str
    kind: str

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)

    @property
    def above(self) -> float:
        """Where the text stands."""
        return round(self.y - 4, 1)


@dataclass(frozen=True, slots=True)
class Bars:
    """What tasks/_bars.html draws: bars over decades, and a line at the limit where there is one."""

    label: str
    bars: tuple[Bar, ...]
    grid: tuple[Grid, ...]
    limit_y: float | None


def plot(at: Sequence[float], series: Sequence[Values], label: str, *, end: str = "") -> Chart:
    """A chart over times of any distance, in seconds from the first; `end` is the last tick, or how long it took.

    At most 160 samples of each series are drawn: more than the eye resolves.
    """
    keep = range(0, len(at), max(1, len(at) // 160 + (len(at) > 160)))
    times = [at[index] for index in keep]
    drawn = [[values[index] for index in keep] for values in series]
    span = max(times, default=0.0) or 1.0
    top = nice_maximum(_highest(drawn))
    grid = (Grid(132, "0"), Grid(70, _axis(top / 2, "")), Grid(8, _axis(top, "")))
    ticks = (
        Tick(44, "0 s", "start"),
        Tick(260, took(span / 2), "middle"),
        Tick(476, end or took(span), "end"),
    )
    xs = [44 + 432 * time / span for time in times]
    lines = [_path_at(xs, values, top, with_area=index == 0) for index, values in enumerate(drawn)]
    paths = tuple(Line(number, path, area) for number, (path, area) in enumerate(lines, 1))
    return Chart(480, 150, 44, 476, label, paths, grid, ticks)


def bars(
    values: Sequence[tuple[str, float]], coming: Sequence[tuple[str, float]], label: str, *, limit: float | None = None,
    running: bool = False,
) -> Bars:  # fmt: skip
    """Bars of (tick, value) on a logarithmic scale, followed by forecast ones; `running` marks the last real one."""
    everything = [value for _, value in (*values, *coming)] + ([limit] if limit else [])
    positive = [value for value in everything if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)))
    high = max(low + 1, math.ceil(math.log10(max(positive))))

    def y_of(value: float) -> float:
        part = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return round(130 - 118 * min(1.0, part), 1)

    step = 434 / max(1, len(values) + len(coming))
    width = min(40.0, 0.7 * step)
    made = []
    for index, (tick, value) in enumerate((*values, *coming)):
        kind = "coming" if index >= len(values) else "now" if running and index == len(values) - 1 else "past"
        x, y = 46 + step * (index + 0.5) - width / 2, y_of(value)
        # A value at the foot of the scale is still seen.
        y = min(y, 128.0)
        made.append(Bar(round(x, 1), y, round(width, 1), round(130 - y, 1), _axis(value, ""), tick, kind))
    decades = range(low, high + 1, max(1, (high - low + 3) // 4))
    grid = tuple(Grid(y_of(10.0**power), _axis(10.0**power, "")) for power in decades)
    return Bars(label, tuple(made), grid, y_of(limit) if limit else None)


def took(seconds: float) -> str:
    """ "9 s", "1 min 20 s"; below ten seconds with one decimal."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest and minutes < 60 else f"{minutes} min"


def _path_at(xs: Sequence[float], values: Values, top: float, *, with_area: bool) -> tuple[str, str]:
    line, area = [], []
    for start, run in _runs(values):
        points = [
            f"{xs[start + index]:.1f} {132 - 124 * min(1.0, max(0.0, value / top)):.1f}"
            for index, value in enumerate(run)
        ]
        if len(points) == 1:
            points.append(points[0])
        line.append("M" + "L".join(points))
        if with_area:
            area.append(f"M{'L'.join(points)}L{xs[start + len(run) - 1]:.1f} 132L{xs[start]:.1f} 132z")
    return "".join(line), "".join(area)


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
