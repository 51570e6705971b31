"""A live migration asked of the panel against `virsh migrate --live --p2p --tls` of the same guest.

Needs a running panel with its lab (bin/up --instance NAME; MOORING_INSTANCE says which). Ours is timed by the task's
row, from the request's commit to the final state, so it includes queue, checks, log and inventory; virsh is timed
inside the node. The two take turns, and so do the directions, so that neither always has the busier node. CPU seconds
are those of all of the panel's processes meanwhile.
"""

import json
import os
import subprocess
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from tests.bench import cpu
from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import say
from tests.bench.turns import Turns
from tests.e2e.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("MOORING_INSTANCE", "test")
GUEST = "vmtest"
ENDS = ("primary", "secondnode1")
SLOW_MIB = 8  # the guest's 100 MiB take about 13 s
SHORT = Gate("migration from the panel, short", Rule.MORE_AT_MOST, 0.4, "s")
LONG = Gate(f"migration from the panel, {SLOW_MIB} MiB/s", Rule.RATIO_AT_MOST, 1.1, "s")
PACES = {SHORT: (12, 0), LONG: (10, SLOW_MIB)}  # rounds, limit in MiB/s
GATES = (SHORT, LONG)
_OURS = """
import json, time
from infrastructure.models import VE, Node
from infrastructure.services import inventory, migration
from infrastructure.services.migration import MigrationOptions
for node in Node.objects.filter(name__in={ends!r}):
    inventory.refresh(node)
ve = VE.objects.select_related("node").get(name={guest!r})
task = migration.start(user=None, ve=ve, target=Node.objects.get(name={target!r}),
                       options=MigrationOptions(bandwidth_mib={limit}))
end = time.monotonic() + 120
while task.finished_at is None and time.monotonic() < end:
    time.sleep(0.1)
    task.refresh_from_db()
seconds = (task.finished_at - task.created_at).total_seconds() if task.finished_at else None
print("@@" + json.dumps([task.state, task.reason, seconds]))
"""
_THEIRS = """begun=$(date +%s%N); virsh -q migrate "$1" "$2" --migrateuri "$3" --live --p2p --tls --persistent \
--undefinesource --unsafe $4 && echo "@@$((($(date +%s%N) - begun) / 1000000))" """


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure the chosen gates; both take about eight minutes."""
    for gate, (rounds, limit_mib) in PACES.items():
        if gate in chosen:
            yield _rounds(rounds, limit_mib).result(gate)


def _rounds(count: int, limit_mib: int) -> Turns:
    lab = Lab(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE))
    found = Turns()
    panel = int((ROOT / "var" / INSTANCE / "run" / "supervisord.pid").read_text())
    for number in range(count):
        say(f"migration, {f'{limit_mib} MiB/s' if limit_mib else 'no limit'}: {number + 1} of {count}")
        turns = [(found.ours, _ours), (found.theirs, _theirs)]
        for turn, measure in turns if number % 2 else reversed(turns):
            [here] = lab.where(GUEST)
            there = ENDS[1] if here == ENDS[0] else ENDS[0]
            turn(partial(measure, lab, here, there, limit_mib), lambda: cpu.of_trees([panel]))
    return found


def _ours(lab: Lab, here: str, there: str, limit_mib: int) -> list[float]:
    code = _OURS.format(ends=ENDS, guest=GUEST, target=there, limit=limit_mib)
    command = [str(ROOT / "bin" / "manage"), "--instance", INSTANCE, "shell", "-c", code]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=True)
    state, reason, seconds = json.loads(done.stdout.rsplit("@@", 1)[1])
    if state != "completed":
        raise RuntimeError(f"the migration to {there} ended as {state}: {reason}")
    return [float(seconds)]


def _theirs(lab: Lab, here: str, there: str, limit_mib: int) -> list[float]:
    address = lab.exec(there, "hostname", "-I").split()[0]
    peer, data = f"qemu+tls://{address}/system?pkipath=/etc/pki/mooring", f"tcp://{address}"
    limit = f"--bandwidth {limit_mib}" if limit_mib else ""
    said = lab.exec(here, "sh", "-c", _THEIRS, "sh", GUEST, peer, data, limit, timeout=180)
    return [int(said.rsplit("@@", 1)[1]) / 1000]
