"""Samples of both sides, taken in turns, with the CPU time that each side took."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.gates import Gate, Result


@dataclass
class Turns:
    """The fields of a Result, as they come together: a is ours, b what it is held against."""

    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    cpu_a: float | None = None
    cpu_b: float | None = None

    def ours(self, measure: Callable[[], Sequence[float]], cpu: Callable[[], float]) -> None:
        """One turn of a: `measure()` gives samples, `cpu()` the CPU seconds so far of what works in it."""
        spent, samples = _timed(measure, cpu)
        self.a += samples
        self.cpu_a = (self.cpu_a or 0.0) + spent

    def theirs(self, measure: Callable[[], Sequence[float]], cpu: Callable[[], float]) -> None:
        """One turn of b."""
        spent, samples = _timed(measure, cpu)
        self.b += samples
        self.cpu_b = (self.cpu_b or 0.0) + spent

    def result(self, gate: Gate, note: str = "") -> Result:
        """What was measured, for this gate."""
        return Result(gate, **asdict(self), note=note)

    def json(self) -> str:
        """For a process that measures to tell the one that judges."""
        return json.dumps(asdict(self))


def _timed(measure: Callable[[], Sequence[float]], cpu: Callable[[], float]) -> tuple[float, Sequence[float]]:
    before = cpu()
    samples = measure()
    return cpu() - before, samples


def read(text: str) -> Turns:
    """The last line of what a probe printed. ValueError when it is no such line."""
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return Turns(**found)
