"""How long the lab takes to come up from nothing but installed packages.

A lab of its own: purged, then brought up, again and again. The first round is left out: on a machine that never had a
lab it downloads two packages, builds the guests' image and finds out whether guests run under KVM; later ones keep it.
"""

import os
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import say
from tests.bench.turns import Turns

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = f"{os.environ.get('MOORING_INSTANCE', 'bench')}lab"
ROUNDS = 3
GATES = (Gate("lab up, from installed packages", Rule.EACH_AT_MOST, 60, "s", fewest=ROUNDS),)


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Takes about four minutes."""
    found = Turns()
    try:
        first = _up()
        for number in range(ROUNDS):
            say(f"lab up: {number + 1} of {ROUNDS}")
            found.ours(lambda: [_up()], lambda: sum(os.times()[2:4]))
    finally:
        _lab("down", "--purge")
    for gate in chosen:
        yield found.result(gate, note=f"the round left out took {first:.0f} s")


def _up() -> float:
    """Seconds of one `up` after a purge."""
    _lab("down", "--purge")
    begun = time.perf_counter()
    _lab("up")
    return time.perf_counter() - begun


def _lab(*argv: str) -> None:
    command = [str(ROOT / "bin" / "lab"), "--instance", INSTANCE, *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
