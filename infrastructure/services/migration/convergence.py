"""What is done about a guest that changes its memory as fast as it is copied: judged by figures, announced before done.

First auto-converge slows the guest down, where that was asked for. When it changes memory as fast all the same, the
pause at the switch is doubled step by step up to its limit. Then the migration is given up, with advice.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infrastructure.drivers.base import MigrationProgress
from infrastructure.services.figures import MIB

KEEPS_UP = 0.9  # changing at this share of the rate of copying, an iteration leaves as much as it found
PATIENCE = 2  # such iterations in a row, before anything is done
LAST_PATIENCE = 3  # the same at the limit, before it is given up
SETTLE_SECONDS = 2.0  # that a change is given to show
LONG_RUN = 12  # iterations after which the guest is taken not to converge, whatever a single one shows
THROTTLED = 70  # per cent; slowed down more than this, a guest hardly runs


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: nothing but say so, raise the pause to `pause_ms`, or give up. `advice` goes with giving up."""

    act: Literal["note", "raise", "give-up"]
    text: str
    pause_ms: int = 0
    advice: str = ""


class Convergence:
    """Judges one migration. `pause_ms` is the pause allowed now."""

    def __init__(
        self,
        ve: str,
        *,
        pause_ms: int,
        limit_ms: int,
        auto_converge: bool,
        bandwidth_mib: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pause_ms = pause_ms
        self._ve = ve
        self._limit_ms = max(limit_ms, pause_ms)
        self._auto_converge = auto_converge
        self._bandwidth_mib = bandwidth_mib
        self._clock = clock
        self._acted_at = clock()
        self._iteration = 0
        self._since = 0  # iterations since something was done
        self._stalled = 0
        self._throttle = 0
        self._told_throttle = False

    def judge(self, seen: MigrationProgress) -> Decision | None:
        """Once for each look at the migration; decides at the beginning of an iteration only."""
        if seen.iteration <= max(1, self._iteration):
            return None
        self._iteration = seen.iteration
        self._since += 1
        changing, copying = _changing(seen), seen.memory_rate_mib_s
        stalls = copying > 0 and changing >= KEEPS_UP * copying
        self._stalled = self._stalled + 1 if stalls or self._since >= LONG_RUN else 0
        slower = seen.throttle_percent > self._throttle
        self._throttle = seen.throttle_percent
        if slower and self._auto_converge and self._throttle < THROTTLED:
            return self._wait_for_throttle(seen)
        at_limit = self.pause_ms >= self._limit_ms
        if self._stalled < (LAST_PATIENCE if at_limit else PATIENCE):
            return None
        if self._clock() - self._acted_at < SETTLE_SECONDS:
            return None
        if self._auto_converge and self._throttle < THROTTLED and self._since < 2 * PATIENCE:
            return None  # QEMU decides on the throttle every second iteration
        return self._give_up(seen) if at_limit else self._raise(seen)

    def _wait_for_throttle(self, seen: MigrationProgress) -> Decision | None:
        self._acted(seen)
        if self._told_throttle:
            return None
        text = f"{self._figures(seen)}; it is slowed down by {self._throttle}%, and more if need be"
        self._told_throttle = True
        return Decision("note", text)

    def _raise(self, seen: MigrationProgress) -> Decision:
        before, self.pause_ms = self.pause_ms, min(2 * self.pause_ms, self._limit_ms)
        self._acted(seen)
        change = f"its pause at the switch may now be {self.pause_ms:,} ms instead of {before:,} ms"
        return Decision("raise", f"{self._figures(seen)}; {change}", self.pause_ms)

    def _give_up(self, seen: MigrationProgress) -> Decision:
        needed = self._needed_ms(seen)
        ways = [f"allow a pause of {needed:,} ms" if needed else "allow a longer pause"]
        if self._bandwidth_mib:
            ways.insert(0, f"raise the bandwidth limit of {self._bandwidth_mib:,} MiB/s")
        if not self._auto_converge:
            ways.append("have the guest slowed down")
        text = f"{self._figures(seen)}, and a pause of {self.pause_ms:,} ms is too short for the rest."
        return Decision("give-up", text, advice=f"{_listed(ways)}; or move it offline.")

    def _acted(self, seen: MigrationProgress) -> None:
        self._acted_at = self._clock()
        self._stalled = 0
        self._since = 0

    def _figures(self, seen: MigrationProgress) -> str:
        slowed = f", slowed down by {self._throttle}%," if self._throttle and self._told_throttle else ""
        return (
            f"{self._ve}{slowed} changes {_changing(seen):,.0f} MiB of memory a second, and "
            f"{seen.memory_rate_mib_s:,.0f} MiB/s are copied (iteration {seen.iteration})"
        )

    @staticmethod
    def _needed_ms(seen: MigrationProgress) -> int:
        """The pause that would do for what is left now, rounded up to a tenth of a second."""
        if seen.memory_rate_mib_s <= 0:
            return 0
        return (int(1000 * seen.memory_remaining_bytes / MIB / seen.memory_rate_mib_s) // 100 + 1) * 100


def _changing(seen: MigrationProgress) -> float:
    return seen.dirty_pages_s * seen.page_bytes / MIB


def _listed(ways: list[str]) -> str:
    text = ", ".join(ways)
    return text[:1].upper() + text[1:]
