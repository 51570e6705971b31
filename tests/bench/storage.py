"""A datastore asked of the panel against the same commands by hand.

Needs a running panel with its lab (bin/up --instance NAME; MOORING_INSTANCE says which). Ours is timed by the task's
row, from the request's commit to the final state: checks, log, attaching to three nodes included. By hand it is `ceph`
and `virsh` on a node, each started as an administrator would. The two take turns; what they made is removed in between.
Tier 2, of which the lab's own datastore has nothing: in its tier the rule is there already, for ours alone.
"""

from collections.abc import Collection, Iterator

from tests.bench import cpu, panel_shell
from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import say
from tests.bench.turns import Turns
from tests.e2e.lab import NODES, Lab

ROUNDS = 10
CREATE = Gate("datastore created, against the same commands by hand", Rule.MORE_AT_MOST, 1.0, "s")
GATES = (CREATE,)
_OURS = """
import json, time
from panel.accounts.models import User
from storage.models import Cluster
from storage.services import datastores
admin = User.objects.get(username="admin")
def wait(task):
    end = time.monotonic() + 60
    while task.finished_at is None and time.monotonic() < end:
        time.sleep(0.05)
        task.refresh_from_db()
    return [task.state, task.reason, (task.finished_at - task.created_at).total_seconds() if task.finished_at else None]
datastore, task = datastores.create(user=admin, cluster=Cluster.objects.get(), name="bench", use="vm", tier=2,
                                    mode="r2", domain="host")
made = wait(task)
datastore.refresh_from_db()
gone = wait(datastores.remove(user=admin, datastore=datastore, confirmation="bench"))
print("@@" + json.dumps([made, gone]))
"""
_SECRET = """
import json
from storage.models import Cluster
from storage.services import attachments
print("@@" + json.dumps(attachments.secret_of(Cluster.objects.get())))
"""
_MAKE = """set -e; begun=$(date +%s%N)
ceph osd crush rule create-replicated byhand-rule default host tier2
ceph osd pool create byhand 8 8 replicated byhand-rule
ceph osd pool set byhand size 2
ceph osd pool application enable byhand rbd
ceph osd pool application set byhand rbd mooring vm
echo "@@$((($(date +%s%N) - begun) / 1000000))" """
_ATTACH = """set -e; begun=$(date +%s%N)
virsh -q pool-define-as byhand rbd --source-name byhand --source-host "$1" --auth-type ceph \\
  --auth-username mooring-vm --secret-uuid "$2"
virsh -q pool-start byhand
echo "@@$((($(date +%s%N) - begun) / 1000000))" """
_CLEAR = """ceph osd pool delete byhand byhand --yes-i-really-really-mean-it; ceph osd crush rule rm byhand-rule"""


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Takes about two minutes."""
    if CREATE in chosen:
        yield _rounds(ROUNDS).result(CREATE)


def _rounds(count: int) -> Turns:
    lab, found, panel = panel_shell.lab(), Turns(), panel_shell.supervisor()
    secret = panel_shell.told(_SECRET)
    for number in range(count):
        say(f"datastore: {number + 1} of {count}")
        turns = [(found.ours, _ours), (found.theirs, lambda: _theirs(lab, str(secret)))]
        for turn, measure in turns if number % 2 else reversed(turns):
            turn(measure, lambda: cpu.of_trees([panel]))
    return found


def _ours() -> list[float]:
    (state, reason, seconds), (removed, why, _) = panel_shell.told(_OURS)
    if (state, removed) != ("completed", "completed"):
        raise RuntimeError(f"the datastore was {state}: {reason}; its removal {removed}: {why}")
    return [float(seconds)]


def _theirs(lab: Lab, secret: str) -> list[float]:
    monitor = f"{lab.exec(NODES[0], 'hostname', '-I').split()[0]}:3300"
    try:
        made = _milliseconds(lab.exec(NODES[0], "sh", "-c", _MAKE))
        attached = [_milliseconds(lab.exec(node, "sh", "-c", _ATTACH, "sh", monitor, secret)) for node in NODES]
    finally:
        for node in NODES:
            lab.exec(node, "sh", "-c", "virsh -q pool-destroy byhand; virsh -q pool-undefine byhand; true")
        lab.exec(NODES[0], "sh", "-c", _CLEAR)
    return [(made + sum(attached)) / 1000]


def _milliseconds(said: str) -> int:
    return int(said.rsplit("@@", 1)[1])
