"""Pauses between attempts that failed."""

import random
from collections.abc import Callable


class Backoff:
    """1 s, then twice as long each time up to 15 s; each shortened by up to a quarter, so that they spread out."""

    def __init__(self, first: float = 1.0, most: float = 15.0, chance: Callable[[], float] = random.random) -> None:
        self._first = first
        self._most = most
        self._chance = chance
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        pause = min(self._most, self._first * 2 ** min(self._failures, 16))
        self._failures += 1
        return pause * (1 - 0.25 * self._chance())

    def reset(self) -> None:
        """It worked."""
        self._failures = 0
