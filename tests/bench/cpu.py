"""CPU seconds of processes, as the kernel counts them (in steps of 10 ms)."""

import os
from collections.abc import Collection
from pathlib import Path


def of_stage(name: str = "*") -> float:
    """Of the process that tests/bench/stage.py started by this name, with what descends from it; or of all of them."""
    return of_trees([int(file.read_text()) for file in Path(os.environ["MOORING_VAR"]).glob(f"{name}.pid")])


def of_trees(roots: Collection[int]) -> float:
    """Of these processes and all that descend from them, ended ones that were waited for included."""
    times: dict[int, float] = {}
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile; its parent counts it
        pid = int(stat.parent.name)
        parents[pid] = int(fields[1])
        times[pid] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return sum(seconds for pid, seconds in times.items() if _descends(pid, parents, roots))


def _descends(pid: int, parents: dict[int, int], roots: Collection[int]) -> bool:
    while pid in parents:
        if pid in roots:
            return True
        pid = parents[pid]
    return False
