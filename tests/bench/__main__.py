"""`python -m tests.bench [--only WORDS]… [--list] [--database KIND]`: measure, keep the samples, print the table.

bin/bench starts it as root, with the names of the instance to measure in the environment. Modules that bring all they
need come first, while nothing else of ours runs; the panel and its lab are started for the others.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import traceback
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.gates import Gate, NotRun, Result, passed
from tests.bench.stage import say

ROOT = Path(__file__).resolve().parents[2]
ALONE = ("lab", "console", "tasks", "scale")
WITH_PANEL = ("sync", "events", "migration", "storage", "iscsi")


class Bench:
    """One run: the folder of its samples and the panel under test, which is started when first needed."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self._database = database
        self._is_up = False
        self._surroundings = surroundings()

    def outcomes(self, chosen: Collection[Gate]) -> Iterator[tuple[Result | NotRun, str]]:
        """Every gate there is, with the file of its samples; those that are not chosen were not run."""
        for name in (*ALONE, *WITH_PANEL):
            module = import_module(f"tests.bench.{name}")
            wanted = [gate for gate in module.GATES if gate in chosen]
            reason = "not chosen"
            missing = list(module.GATES)
            try:
                if wanted and name in WITH_PANEL:
                    self._up()
                for result in module.run(wanted) if wanted else ():
                    missing.remove(result.gate)
                    raw = report.keep(self.folder, result, self._surroundings)
                    yield result, str(raw.relative_to(ROOT))
            except Exception as error:  # whatever broke, the other modules are measured all the same
                (self.folder / f"{name}.error.txt").write_text(traceback.format_exc())
                reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            for gate in missing:
                yield NotRun(gate, reason if gate in wanted else "not chosen"), ""

    def _up(self) -> None:
        if self._is_up:
            return
        instance, port = os.environ["MOORING_INSTANCE"], os.environ["MOORING_PORT"]
        say(f"starting the panel and the lab {instance}")
        command = [str(ROOT / "bin" / "up"), "--instance", instance, "--port", port]
        command += ["--database", self._database] if self._database else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            (self.folder / "up.log").write_text(done.stdout + done.stderr)
            raise RuntimeError(f"the panel under test did not start; {self.folder / 'up.log'} says why")
        self._is_up = True


def surroundings() -> dict[str, Any]:
    """The machine and its state, which the figures depend on."""
    processor = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor[0].partition(":")[2].strip() if processor else platform.machine(),
        "memory_gib": round(memory / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def gates(only: list[str]) -> list[tuple[Gate, bool]]:
    """Every gate, and whether it is chosen: all of the words stand in its name or its module's, for one of `only`."""
    found = []
    for name in (*ALONE, *WITH_PANEL):
        for gate in import_module(f"tests.bench.{name}").GATES:
            text = f"{name} {gate.name}".lower()
            chosen = not only or any(all(word in text for word in words.lower().split()) for words in only)
            found.append((gate, chosen))
    return found


def main() -> int:
    """0 when every chosen gate has figures, short or not; 1 when one of them could not be measured."""
    parser = argparse.ArgumentParser(prog="bin/bench")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--database", default="")
    told = parser.parse_args()
    known = gates(told.only)
    chosen = [gate for gate, is_chosen in known if is_chosen]
    if told.list:
        for gate, _ in known:
            print(f"{gate.name}: {gate.promise}")
        return 0
    if not chosen:
        print(f"no gate has these words: {', '.join(told.only)}; bin/bench --list names them", file=sys.stderr)
        return 2
    # Whoever ends it by a signal ends what it started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = ROOT / "var" / "samples" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder.mkdir(parents=True)
    machine = surroundings()
    print("  ".join(f"{name} {value}" for name, value in machine.items()))
    if machine["load_average"][0] > 1:
        print("WARNING: the machine is busy with something else (load average above 1); figures may be worse for it.")
    outcomes = []
    for outcome, raw in Bench(folder, told.database).outcomes(chosen):
        outcomes.append((outcome, raw))
        if outcome.gate in chosen:
            say(report.line(outcome, raw))
    table = [report.HEAD, *(report.line(outcome, raw) for outcome, raw in outcomes)]
    (folder / "table.txt").write_text("\n".join(table) + "\n")
    print("\n".join(table))
    kept = sum(passed(outcome) for outcome, _ in outcomes)
    print(f"{kept} of {len(outcomes)} gates are kept; samples in {folder.relative_to(ROOT)}")
    return int(any(isinstance(outcome, NotRun) and outcome.gate in chosen for outcome, _ in outcomes))


if __name__ == "__main__":
    sys.exit(main())
