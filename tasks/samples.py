"""Figures over time, kept with the step that reported them, so that its charts outlive it.

A step's row holds {"begin": ISO time, "every": seconds, "at": [ms since begin, …], "rate_mib": [value, …], …,
"rounds": {chart: [[round, value], …]}}. It stays small: at 300 samples every second one goes, and from then
on they are taken half as often.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.figures import CURVED, ROUNDS, number

MOST = 300
MOST_ROUNDS = 60
FIRST_PAUSE = 0.5  # seconds; charts change at most twice a second


class Samples:
    """What one step has kept so far. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._begin: tuple[datetime, float] | None = None
        self._last = 0.0
        self._every = FIRST_PAUSE
        self._at: list[int] = []
        self._values: dict[str, list[float | None]] = {}
        self._rounds: dict[str, list[list[float]]] = {}

    def take(self, figures: Mapping[str, Any], now: float, moment: datetime) -> bool:
        """Keep these figures if they are due; whether anything was kept. `moment`: the time of day."""
        values = {key: value for key in CURVED if (value := number(figures.get(key))) is not None}
        begun = self._take_rounds(figures)
        if not values or (self._begin is not None and now - self._last < self._every and not begun):
            return begun
        if self._begin is None:
            self._begin = (moment, now)
        self._last = now
        for key in values.keys() - self._values.keys():
            self._values[key] = [None] * len(self._at)
        self._at.append(int(1000 * (now - self._begin[1])))
        for key, known in self._values.items():
            known.append(values.get(key))
        if len(self._at) >= MOST:
            self._thin()
        return True

    def row(self) -> dict[str, Any]:
        """What the step's row keeps."""
        begin = self._begin[0].isoformat() if self._begin else ""
        return {"begin": begin, "every": self._every, "at": self._at, **self._values, "rounds": self._rounds}

    def _take_rounds(self, figures: Mapping[str, Any]) -> bool:
        """Note what each round began with; whether a new one began."""
        begun = False
        for chart in ROUNDS:
            turn, value = number(figures.get(chart.round)), number(figures.get(chart.value))
            known = self._rounds.get(chart.key, [])
            if turn is None or value is None or (known and turn <= known[-1][0]):
                continue
            self._rounds[chart.key] = [*known, [turn, value]][-MOST_ROUNDS:]
            begun = True
        return begun

    def _thin(self) -> None:
        self._every *= 2
        self._at = self._at[::2]
        self._values = {key: values[::2] for key, values in self._values.items()}


@dataclass(slots=True)
class History:
    """The samples of all steps of a task's last attempts, one after the other; a None stands between two of them."""

    at: list[float] = field(default_factory=list)  # seconds since the first sample
    values: dict[str, list[float | None]] = field(default_factory=dict)
    rounds: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def series(self, key: str) -> list[float | None]:
        """The values of a figure, as many as there are times."""
        return self.values.get(key) or [None] * len(self.at)


def joined(rows: Iterable[Mapping[str, Any]]) -> History:
    """What the rows of several steps come to, in their order."""
    history = History()
    first: datetime | None = None
    for row in rows:
        for chart, turns in row.get("rounds", {}).items():
            known = dict(history.rounds.get(chart, ()))
            history.rounds[chart] = sorted((known | {int(turn): float(value) for turn, value in turns}).items())
        if not row.get("at"):
            continue
        begin = datetime.fromisoformat(row["begin"])
        first = first or begin
        _append(history, row, (begin - first).total_seconds())
    return history


def _append(history: History, row: Mapping[str, Any], offset: float) -> None:
    gap = [None] if history.at else []
    before = len(history.at)
    times = [offset + at / 1000 for at in row["at"]]
    history.at += [*([history.at[-1]] if gap else []), *times]
    for key in {*history.values, *(key for key in CURVED if key in row)}:
        known = history.values.get(key, [None] * before)
        history.values[key] = [*known, *gap, *(row.get(key) or [None] * len(times))]
