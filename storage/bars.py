"""Bars of several parts, drawn as SVG by storage/_bar.html: a <meter> has only one."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["used", "ok", "warn", "crit", "idle", "kept"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, in percent of it."""

    kind: Kind
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """`label` names the meter, `value` (0 to 100) is what it says."""

    label: str
    value: float
    segments: tuple[Segment, ...]


def bar(label: str, value: float, *parts: tuple[Kind, float]) -> Bar:
    """Parts from left to right as (kind, percent); what exceeds the bar is cut off, a trace stays visible."""
    segments, x = [], 0.0
    for kind, percent in parts:
        width = min(max(percent, 0.8 if percent > 0 else 0.0), 100.0 - x)
        if width > 0:
            segments.append(Segment(kind, round(x, 2), round(width, 2)))
            x += width
    return Bar(label, round(max(0.0, min(100.0, value)), 1), tuple(segments))
