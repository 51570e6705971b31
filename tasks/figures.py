"""The figures that a running step may report by `step.progress(…, name=value)`, and how the task page shows them.

This is the one place that knows them: a figure that is not declared here is kept, but not shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SPACE = ("MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Figure:
    """A declared figure: the unit of its value; `scales` lets MiB grow to GiB and TiB."""

    label: str
    unit: str = ""
    scales: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure with its words: "Throughput", "112", "MiB/s"."""

    key: str
    label: str
    value: str
    unit: str


# In the order of the page.
FIGURES: dict[str, Figure] = {
    "rate_mib": Figure("Throughput", "MiB/s"),
    "remaining_mib": Figure("Remaining", "MiB", scales=True),
    "copied_mib": Figure("Copied", "MiB", scales=True),
    "total_mib": Figure("In total", "MiB", scales=True),
    "dirty_mib": Figure("Changing", "MiB/s"),
    "expected_pause_ms": Figure("Expected pause", "ms"),
    "pause_ms": Figure("Pause", "ms"),
    "iteration": Figure("Iteration"),
}


def shown(figures: Mapping[str, Any]) -> list[Shown]:
    """The declared figures among those given that are numbers, in the order of the page."""
    known = ((key, figure, figures.get(key)) for key, figure in FIGURES.items())
    return [
        _words(key, figure, float(value))
        for key, figure, value in known
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


def _words(key: str, figure: Figure, value: float) -> Shown:
    unit = figure.unit
    if figure.scales:
        step = 0
        while value >= 1024 and step < len(_SPACE) - 1:
            value, step = value / 1024, step + 1
        unit = _SPACE[step]
    text = f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"
    return Shown(key, figure.label, text, unit)
