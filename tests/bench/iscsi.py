"""LUNs of the panel's against such as are made by hand, and against Ceph without a target between.

Needs a running panel with its lab (bin/up --instance NAME; MOORING_INSTANCE says which). A new LUN is timed from the
request's commit (by hand: from the first command's begin) until `iscsi-ls` on another node finds it; its policy has
pools already. Work is `qemu-img bench` on that node: 4 KiB with 16 under way, each 4 MiB + 4 KiB further than the last,
so that neighbours lie in different objects; images are written full before. The sides take turns.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.bench import cpu, iscsi_sides, panel_shell
from tests.bench.gates import Gate, Result, Rule, percentile
from tests.bench.iscsi_sides import THROUGH, ByHand, Ours
from tests.bench.stage import say
from tests.bench.turns import Turns
from tests.e2e.lab import Lab

Turn = Callable[[Callable[[], Sequence[float]], Callable[[], float]], None]
ROUNDS = 12
CREATE = Gate("LUN created → discoverable, against the same by hand", Rule.MORE_AT_MOST, 500, "ms")
WRITES = Gate("LUN, 4 KiB writes at depth 16, against one by hand", Rule.RATIO_AT_LEAST, 0.9, "IOPS")
READS = Gate("LUN, 4 KiB reads at depth 16, against one by hand", Rule.RATIO_AT_LEAST, 0.9, "IOPS")
WRITES_RBD = Gate("LUN, 4 KiB writes at depth 16, against librbd", Rule.RATIO_AT_LEAST, 0.5, "IOPS")
READS_RBD = Gate("LUN, 4 KiB reads at depth 16, against librbd", Rule.RATIO_AT_LEAST, 0.5, "IOPS")
GATES = (CREATE, WRITES, READS, WRITES_RBD, READS_RBD)
REQUESTS = {"writes": 3000, "reads": 6000}  # about two seconds each
TURNS = {"writes": 12, "reads": 24}  # reads differ more from turn to turn
# Numbers of LUNs: of the panel's and of those by hand.
WORKED, ADDED, CACHED, DIRECT = 1, 5, 2, 3
STRIDE = (4 << 20) + 4096
_DONE = re.compile(r"^Run completed in ([0-9.]+) seconds\.$", re.MULTILINE)


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure what the chosen gates need; all of them take about eight minutes, with the lab ten."""
    lab = panel_shell.lab()
    with _targets(lab) as (ours, by_hand):
        if CREATE in chosen:
            yield _created(lab, ours, by_hand).result(CREATE)
        if set(chosen) - {CREATE}:
            yield from _worked(lab, ours, by_hand, chosen)


@contextmanager
def _targets(lab: Lab) -> Iterator[tuple[Ours, ByHand]]:
    here, there = iscsi_sides.addresses(lab)
    ours, by_hand = Ours(here), ByHand(lab, there)
    by_hand.close()
    with ExitStack() as undo:
        # The pool goes with the panel's last LUN, and only when it is empty.
        undo.callback(ours.close)
        ours.open()
        undo.callback(by_hand.close)
        by_hand.open()
        yield ours, by_hand


def _created(lab: Lab, ours: Ours, by_hand: ByHand) -> Turns:
    found, panel = Turns(), panel_shell.supervisor()
    for number in range(ROUNDS):
        say(f"LUN created: {number + 1} of {ROUNDS}")
        turns: list[tuple[Turn, Ours | ByHand]] = [(found.ours, ours), (found.theirs, by_hand)]
        for turn, side in turns if number % 2 else reversed(turns):
            turn(partial(_until_shown, lab, side), lambda: cpu.of_trees([panel]))
            side.remove(ADDED)
    return found


def _until_shown(lab: Lab, side: Ours | ByHand) -> list[float]:
    """Milliseconds until an initiator, which asks again and again, finds the new LUN."""
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(iscsi_sides.shown, lab, side.address, ADDED)
        asked = side.add(ADDED)
        return [(shown.result() - asked) * 1000]


def _worked(lab: Lab, ours: Ours, by_hand: ByHand, chosen: Collection[Gate]) -> Iterator[Result]:
    by_hand.add(WORKED, THROUGH)
    by_hand.add(CACHED)
    mine, same = (Disk(lab, side.url(WORKED), iscsi_sides.servers(side.address)) for side in (ours, by_hand))
    cached, direct = Disk(lab, by_hand.url(CACHED), same.servers), Disk(lab, by_hand.add_image(DIRECT), [])
    for disk in (mine, same, cached, direct):
        say(f"filling {disk.url}")
        disk.fill()
    iscsi_sides.settled(lab)
    for gate, kind in {WRITES: "writes", READS: "reads"}.items():
        if gate in chosen:
            found, beside = _rounds(gate, kind, mine, same, cached)
            yield found.result(gate, f"by hand with a volatile cache {percentile(beside, 50):.4g} {gate.unit}")
    for gate, kind in {WRITES_RBD: "writes", READS_RBD: "reads"}.items():
        if gate in chosen:
            found, _ = _rounds(gate, kind, mine, direct)
            yield found.result(gate)


class Disk:
    """What the initiator's node works with. `servers`: the processes between it and Ceph."""

    def __init__(self, lab: Lab, url: str, servers: list[int]) -> None:
        self.url = url
        self.servers = servers
        self._lab = lab

    def fill(self) -> None:
        """Without data in them, reads would be answered without a look at a disk."""
        self._bench("-w", "-d", "8", "-s", "4M", "-c", str(iscsi_sides.GIB << 8))

    def work(self, kind: str) -> list[float]:
        """Requests per second."""
        count = REQUESTS[kind]
        words = ["-w"] if kind == "writes" else []
        return [rate(self._bench(*words, "-d", "16", "-s", "4096", "-S", str(STRIDE), "-c", str(count)), count)]

    def cpu(self) -> float:
        """CPU seconds so far of its servers, and of what worked here."""
        return cpu.of_trees(self.servers) + sum(os.times()[2:4])

    def _bench(self, *words: str) -> str:
        argv = ("qemu-img", "bench", "-f", "raw", "-t", "none", *words, self.url)
        return self._lab.exec(iscsi_sides.INITIATOR, *argv)


def rate(said: str, count: int) -> float:
    """Requests per second, of what `qemu-img bench` said. ValueError when it did not come to its end."""
    found = _DONE.search(said)
    if found is None:
        raise ValueError(f"qemu-img bench said: {said[:200]!r}")
    return count / float(found[1])


def _rounds(gate: Gate, kind: str, mine: Disk, other: Disk, third: Disk | None = None) -> tuple[Turns, list[float]]:
    """The turns, and what a third disk did between them, which is only told."""
    found, beside = Turns(), list[float]()
    for number in range(TURNS[kind]):
        say(f"{gate.name}: {number + 1} of {TURNS[kind]}")
        turns = [(found.ours, mine), (found.theirs, other)]
        for turn, disk in turns if number % 2 else reversed(turns):
            turn(partial(disk.work, kind), disk.cpu)
        beside += third.work(kind) if third else []
    return found, beside
