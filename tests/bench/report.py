"""What a run of the benchmarks leaves: a line for each gate, and the raw samples as JSON."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.gates import NotRun, Result, figure, lacks, passed, percentile, ratio

HEAD = f"{'gate':58} {'a/b':>6} {'n':>9}  {'a: median, p95':>21}  {'b: median, p95':>21} unit"


def keep(folder: Path, result: Result, surroundings: dict[str, Any]) -> Path:
    """Write the samples beside what the machine was; the file."""
    path = folder / f"{re.sub('[^a-z0-9]+', '-', result.gate.name.lower()).strip('-')}.json"
    figures = {"figure": None if lacks(result) else figure(result), "passed": passed(result)}
    path.write_text(json.dumps({**asdict(result), **figures, **surroundings}, indent=1, default=list) + "\n")
    return path


def line(outcome: Result | NotRun, raw: str = "") -> str:
    """One gate: name, ratio, n, median and p95 of both, CPU, promise, where the samples are; ends in ok or short."""
    name = f"{outcome.gate.name:58}"
    if isinstance(outcome, NotRun):
        return f"{name} NOT RUN: {outcome.reason}  short"
    against = ratio(outcome)
    parts = [
        name,
        f"{against:6.2f}" if against is not None else f"{'–':>6}",
        f"{f'{len(outcome.a)}/{len(outcome.b)}':>9} ",
        f"{_middle(outcome.a):>21} ",
        f"{_middle(outcome.b):>21}",
        outcome.gate.unit,
        f" cpu {_cpu(outcome.cpu_a)}/{_cpu(outcome.cpu_b)} s ",
        outcome.gate.promise,
        *(f" ({text})" for text in (lacks(outcome), outcome.note) if text),
        f" {raw} ",
        "ok" if passed(outcome) else "short",
    ]
    return " ".join(parts)


def _middle(samples: Any) -> str:
    return f"{percentile(samples, 50):.4g}, {percentile(samples, 95):.4g}" if samples else "–"


def _cpu(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f}"
