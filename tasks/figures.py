"""The figures that a running step may report by `step.progress(…, name=value)`, and how the task page shows them.

This is the one place that knows them: a figure that is not declared here is kept, but not shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = ("MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Figure:
    """A declared figure: the unit of its value; `scales` lets MiB grow to GiB and TiB.

    of: the figure that is its limit, shown beside it ("250 ms of 300"). An empty label: it only serves others.
    """

    label: str = ""
    unit: str = ""
    scales: bool = False
    of: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure with its words: "Throughput", "112", "MiB/s"."""

    key: str
    label: str
    value: str
    unit: str


@dataclass(frozen=True, slots=True)
class Curves:
    """A chart of figures over time. `title` may hold {noun}, what the job is called: "Migration throughput"."""

    key: str
    title: str
    unit: str
    series: tuple[tuple[str, str], ...]  # (figure, its word), at most two


@dataclass(frozen=True, slots=True)
class Rounds:
    """A chart of what each round of a repeated pass began with, on a logarithmic scale.

    limit: the figure below which the work is finished at once; `limit_word` says so. grows, shrinks: what is added and
    what is worked off in the same time, by which the coming rounds are forecast.
    """

    key: str
    title: str
    unit: str
    round: str
    round_word: str
    value: str
    limit: str
    limit_word: str
    grows: str
    shrinks: str


# In the order of the page.
FIGURES: dict[str, Figure] = {
    "rate_mib": Figure("Throughput", "MiB/s"),
    "remaining_mib": Figure("Remaining", "MiB", scales=True),
    "copied_mib": Figure("Copied", "MiB", scales=True),
    "disk_copied_mib": Figure("Disks copied", "MiB", scales=True, of="disk_total_mib"),
    "dirty_mib": Figure("Changing", "MiB/s"),
    "expected_pause_ms": Figure("Expected pause", "ms", of="pause_limit_ms"),
    "pause_ms": Figure("Pause", "ms", of="pause_limit_ms"),
    "throttle_percent": Figure("Guest slowdown", "%"),
    "total_mib": Figure(),
    "disk_total_mib": Figure(unit="MiB", scales=True),
    "pause_limit_ms": Figure(unit="ms"),
    "switch_below_mib": Figure(unit="MiB"),
    "iteration": Figure(),
    "elapsed_ms": Figure(),
}

CHARTS: tuple[Rounds | Curves, ...] = (
    Rounds(
        "rounds", "Memory left", "MiB", round="iteration", round_word="iteration", value="remaining_mib",
        limit="switch_below_mib", limit_word="Switch over below {}", grows="dirty_mib", shrinks="rate_mib",
    ),
    Curves("throughput", "{noun} throughput", "MiB/s", (("rate_mib", "Copy rate"), ("dirty_mib", "Change rate"))),
)  # fmt: skip
CURVED = tuple(figure for chart in CHARTS if isinstance(chart, Curves) for figure, _ in chart.series)
ROUNDS = tuple(chart for chart in CHARTS if isinstance(chart, Rounds))


def number(value: object) -> float | None:
    """The value as a number; None for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def shown(figures: Mapping[str, Any]) -> list[Shown]:
    """The declared figures among those given that are numbers, in the order of the page."""
    known = ((key, figure, number(figures.get(key))) for key, figure in FIGURES.items() if figure.label)
    return [_words(key, figure, value, figures) for key, figure, value in known if value is not None]


def amount(value: float) -> str:
    """The number as text: one decimal below ten, thousands separators above."""
    return f"{value:,.1f}" if value < 10 and round(value, 1) != int(value) else f"{value:,.0f}"


def _words(key: str, figure: Figure, value: float, figures: Mapping[str, Any]) -> Shown:
    limit = number(figures.get(figure.of)) if figure.of else None
    unit, divisor = _scale(figure, max(value, limit or 0.0))
    words = f"{unit} of {amount(limit / divisor)}".strip() if limit else unit
    return Shown(key, figure.label, amount(value / divisor), words)


def _scale(figure: Figure, value: float) -> tuple[str, float]:
    step = 0
    while figure.scales and value >= 1024 ** (step + 1) and step < len(_SPACE) - 1:
        step += 1
    return _SPACE[step] if figure.scales else figure.unit, 1024.0**step
