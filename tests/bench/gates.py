"""What a gate is, what was measured for it, and how it is judged.

A bench module declares `GATES` and `run(chosen)`, which yields a `Result` for each of the chosen gates as soon as it
has one. Samples a are ours, b those of what we are held against, taken in turns in the same run.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

FEWEST = 10


class Rule(StrEnum):
    """What of the samples is compared with the limit; the value is how a report writes it."""

    RATIO_AT_MOST = "p50(a) / p50(b) ≤"
    RATIO_AT_LEAST = "p50(a) / p50(b) ≥"
    MORE_AT_MOST = "p50(a) − p50(b) ≤"
    P99_MORE_AT_MOST = "p99(a) − p99(b) ≤"
    P50_AT_MOST = "p50(a) ≤"
    P50_AT_LEAST = "p50(a) ≥"
    P95_AT_MOST = "p95(a) ≤"
    EACH_AT_MOST = "each(a) ≤"

    @property
    def compares(self) -> bool:
        """Whether samples b are part of it."""
        return "(b)" in self.value

    @property
    def at_least(self) -> bool:
        return self.value.endswith("≥")


@dataclass(frozen=True)
class Gate:
    """A promise that can be measured. `fewest`: samples without which it counts as short."""

    name: str
    rule: Rule
    limit: float
    unit: str
    fewest: int = FEWEST

    @property
    def promise(self) -> str:
        """Such as `p95(a) ≤ 300 ms`; a ratio has no unit."""
        unit = "" if "/" in self.rule.value else f" {self.unit}"
        return f"{self.rule.value} {self.limit:g}{unit}"


@dataclass(frozen=True)
class Result:
    """The samples of a gate in its unit. `cpu_a`, `cpu_b`: CPU seconds of all its turns together, None if unknown."""

    gate: Gate
    a: Sequence[float]
    b: Sequence[float] = field(default=())
    cpu_a: float | None = None
    cpu_b: float | None = None
    note: str = ""


@dataclass(frozen=True)
class NotRun:
    """A gate without figures, and why."""

    gate: Gate
    reason: str


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least so many percent of them do not exceed; of 50 the median. ValueError: none."""
    if not samples:
        raise ValueError("there are no samples")
    if percent == 50:
        return statistics.median(samples)
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(result: Result) -> float | None:
    """Median of ours to the other's; None when there is no other, or it is 0."""
    beside = percentile(result.b, 50) if result.b else 0.0
    return percentile(result.a, 50) / beside if result.a and beside else None


def lacks(result: Result) -> str:
    """Why nothing can be judged, or ""."""
    wanted = [("a", result.a)] + ([("b", result.b)] if result.gate.rule.compares else [])
    for name, samples in wanted:
        if len(samples) < result.gate.fewest:
            return f"n({name}) is {len(samples)}, {result.gate.fewest} are needed"
    if result.gate.rule in (Rule.RATIO_AT_MOST, Rule.RATIO_AT_LEAST) and ratio(result) is None:
        return "the median of b is 0"
    return ""


def figure(result: Result) -> float:
    """What the rule compares with the limit. ValueError when samples are missing."""
    if reason := lacks(result):
        raise ValueError(reason)
    a, b = result.a, result.b
    match result.gate.rule:
        case Rule.RATIO_AT_MOST | Rule.RATIO_AT_LEAST:
            return percentile(a, 50) / percentile(b, 50)
        case Rule.MORE_AT_MOST:
            return percentile(a, 50) - percentile(b, 50)
        case Rule.P99_MORE_AT_MOST:
            return percentile(a, 99) - percentile(b, 99)
        case Rule.P50_AT_MOST | Rule.P50_AT_LEAST:
            return percentile(a, 50)
        case Rule.P95_AT_MOST:
            return percentile(a, 95)
        case Rule.EACH_AT_MOST:
            return max(a)


def passed(outcome: Result | NotRun) -> bool:
    """Whether the gate is kept. What was not run, or too seldom, is not."""
    if isinstance(outcome, NotRun) or lacks(outcome):
        return False
    gate = outcome.gate
    return figure(outcome) >= gate.limit if gate.rule.at_least else figure(outcome) <= gate.limit
