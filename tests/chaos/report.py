"""What the faults did: printed while they run, and summed up at the end."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Fault:
    """The rounds of one fault: what they hit, the longest recovery (s), what they violated, why some began again."""

    runs: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    violations: list[str] = field(default_factory=list)
    begun_again: list[str] = field(default_factory=list)


faults: dict[str, Fault] = {}


class Dice(random.Random):
    """The randomness of one round, which is known by its seed; it notes what was hit and how long recovery took."""

    def __init__(self, fault: Fault, seed: int) -> None:
        super().__init__(seed)
        self._fault = fault
        self._since = time.monotonic()

    def hit(self, step: str, moment: str = "") -> None:
        """The fault begins now, in this step of the log; recovery counts from here unless it is said to be `over`."""
        self._fault.hits[step] += 1
        self._since = time.monotonic()
        print(f"    hit {step}{f', {moment}' if moment else ''}")

    def pause(self, step: str, shortest: float, longest: float) -> None:
        """Wait a random moment within a step that the log announced; the fault follows."""
        seconds = self.uniform(shortest, longest)
        time.sleep(seconds)
        self.hit(step, f"{seconds:.2f} s into it")

    def over(self) -> None:
        """What was broken is whole again: recovery counts from now on."""
        self._since = time.monotonic()

    def recovered(self) -> None:
        """Everything is as it should be."""
        seconds = time.monotonic() - self._since
        self._fault.longest = max(self._fault.longest, seconds)
        print(f"    recovered after {seconds:.1f} s")


def lines() -> list[str]:
    """The table of all faults that ran."""
    found = []
    for name, fault in faults.items():
        steps = "; ".join(f"{step} {count}×" for step, count in sorted(fault.hits.items()))
        found += [
            f"{'BROKEN' if fault.violations else 'ok    '} {name}",
            f"       {fault.runs} runs, longest recovery {fault.longest:.1f} s, {len(fault.violations)} violations",
            f"       hit {steps}",
            *(f"       violated in {violation}" for violation in fault.violations),
            *(f"       run once more after {why}" for why in fault.begun_again),
        ]
    return found
