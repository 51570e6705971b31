"""The two sides of the benches of LUNs: a target of the panel's, and one that an administrator makes on the same node.

All images lie in the pool of one policy, so that the same disks of the cluster do the work. The panel's servers answer
a write when Ceph has it, and have no other options (`iscsi/drivers/ceph_files.py`). The other one is told the same by
`THROUGH`; without it, it has the lab's options, and the volatile cache that Ceph gives whoever asks for nothing.
"""

import re
from pathlib import Path
from typing import Any

from tests.bench import panel_shell
from tests.e2e.lab import Lab

NODE, INITIATOR = "secondnode1", "secondnode2"
# The tier with the more space: four images are written full.
TIER, POOL = 1, "mooring-lun.t1.r2.host"
GIB = 1  # of each LUN
CONF = "/etc/ceph/by-hand.conf"
THROUGH = f"conf={CONF};id=admin"
_NUMBER, _IQN, _PID = 99, "iqn.2001-04.com.example:by-hand", "/run/by-hand.pid"
_HEAD = """
import json, time
from infrastructure.models import Node, NodeInterfaces
from iscsi.models import IscsiNode, Lun, Target
from iscsi.services import luns, portals, roles, targets
from iscsi.services.portals import Wish
node = Node.objects.get(name=NODE)
def done(task):
    end = time.monotonic() + 120
    while task.finished_at is None and time.monotonic() < end:
        time.sleep(0.05)
        task.refresh_from_db()
    if task.state != "completed":
        raise SystemExit(f"{task.title}: {task.state}: {task.reason}")
    return task
def target():
    return Target.objects.get(name="bench")
def add(number):
    lun, task = luns.add(user=None, target=target(), number=number, size_gib=GIB, tier=TIER, mode="r2", domain="host")
    done(task)
    return task.created_at.timestamp(), lun.datastore.pool
def remove(lun):
    done(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun)))
def clear():
    for found in Target.objects.filter(name="bench"):
        for lun in found.luns.all():
            remove(lun)
        done(targets.delete(user=None, target=found, confirmation=found.name))
"""
_OPEN = """
clear()
given = not IscsiNode.objects.filter(node=node).exists()
if given:
    done(roles.assign(user=None, node=node))
# The collector tells the panel every few seconds which addresses the node has, such as the one that went just now.
end = time.monotonic() + 60
while time.monotonic() < end:
    known = NodeInterfaces.objects.filter(node=node).exists()
    if known and ADDRESS not in [each.address for each in portals.free_addresses(node)]:
        break
    time.sleep(0.5)
done(targets.create(user=None, name="bench", node=node, wishes=[Wish(f"{ADDRESS}/24", "")])[1])
print("@@" + json.dumps([given, target().iqn, add(1)[1]]))
"""
_ADD = """print("@@" + json.dumps(add(NUMBER)[0]))"""
_REMOVE = """
remove(target().luns.get(number=NUMBER))
print("@@null")
"""
_CLOSE = """
clear()
if GIVEN:
    done(roles.withdraw(user=None, node=node))
print("@@null")
"""
# Ceph would divide the pool anew while it is measured.
_SERVE = f"""set -e
ceph osd pool set {POOL} pg_autoscale_mode off 2>/dev/null
printf '[global]\\nrbd_cache = false\\nkeyring = /etc/ceph/ceph.client.admin.keyring\\n' >{CONF}
grep '^mon_host = ' /etc/ceph/ceph.conf >>{CONF}
ip address add "$1/24" dev br0
setsid tgtd -f -C {_NUMBER} --iscsi portal="$1:3260" </dev/null >/dev/null 2>&1 &
echo $! >{_PID}
tell() {{ tgtadm -C {_NUMBER} --lld iscsi "$@"; }}
until tell --op show --mode sys >/dev/null 2>&1; do sleep 0.1; done
tell --op new --mode target --tid 1 -T {_IQN}
tell --op bind --mode target --tid 1 -I ALL"""
_NEW = f"""set -e; date +%s%N
rbd create "$1" --size {GIB}G
tgtadm -C {_NUMBER} --lld iscsi --op new --mode logicalunit --tid 1 --lun "$2" --bstype rbd ${{3:+--bsopts "$3"}} \\
  --backing-store "$1" """
_DROP = f"""set -e
tgtadm -C {_NUMBER} --lld iscsi --op delete --mode logicalunit --tid 1 --lun "$2"
rbd rm --no-progress "$1" """
# A server that is killed with an image open holds it for half a minute: its LUNs are taken off before.
_END = f"""
for lun in $(seq 9); do
  tgtadm -C {_NUMBER} --lld iscsi --op delete --mode logicalunit --tid 1 --lun "$lun" 2>/dev/null
done
pid=$(cat {_PID} 2>/dev/null) && grep -qx tgtd "/proc/$pid/comm" && kill -KILL "$pid"
rm -f {_PID} {CONF}
ip address del "$1/24" dev br0 2>/dev/null
for image in $(rbd ls {POOL} 2>/dev/null | grep '^by-hand'); do
  tries=0
  until rbd rm --no-progress "{POOL}/$image" 2>/dev/null || [ $((tries += 1)) -gt 45 ]; do sleep 1; done
done
true"""
# iscsi-ls tells the size of what an initiator can use.
_SHOWN = """until timeout 5 iscsi-ls -s "iscsi://$1:3260" 2>/dev/null | grep -q "^Lun:$2 .*Size:"; do sleep 0.02; done
date +%s%N"""
# A pool's line names a target while it is divided anew.
_SETTLED = rf"""settled() {{
  ceph pg stat | grep -Eq '^([0-9]+) pgs: \1 active\+clean;' &&
    ! ceph osd pool ls detail | grep "'{POOL}'" | grep -q _target
}}
tries=0
until settled; do
  if [ $((tries += 1)) -gt 120 ]; then echo "Ceph does not settle: $(ceph pg stat)" >&2; exit 1; fi
  sleep 1
done"""


class Ours:
    """A target `bench` of the panel's with its LUN 1, whose policy has its pools from then on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._given = False
        self._iqn = ""

    def open(self) -> None:
        self._given, self._iqn, pool = self._told(_OPEN, ADDRESS=self.address)
        if pool != POOL:
            raise RuntimeError(f"LUNs lie in {pool}, not in {POOL}")

    def add(self, number: int) -> float:
        """Returns when the task is over: when it was asked for, in seconds since the epoch."""
        return float(self._told(_ADD, NUMBER=number))

    def remove(self, number: int) -> None:
        self._told(_REMOVE, NUMBER=number)

    def close(self) -> None:
        self._told(_CLOSE, GIVEN=self._given)

    def url(self, number: int) -> str:
        return f"iscsi://{self.address}:3260/{self._iqn}/{number}"

    def _told(self, code: str, **names: Any) -> Any:
        known = {"NODE": NODE, "GIB": GIB, "TIER": TIER, **names}
        head = "".join(f"{name} = {value!r}\n" for name, value in known.items())
        return panel_shell.told(head + _HEAD + code)


class ByHand:
    """A server that `tgtd` and `tgtadm` make on the same node, and images that `rbd` makes."""

    def __init__(self, lab: Lab, address: str) -> None:
        self.address = address
        self._lab = lab

    def open(self) -> None:
        self._run(_SERVE, self.address)

    def add(self, number: int, options: str = "") -> float:
        """A LUN; when the first command began, in seconds since the epoch."""
        return int(self._run(_NEW, _image(number), str(number), options).split()[0]) / 1e9

    def remove(self, number: int) -> None:
        self._run(_DROP, _image(number), str(number))

    def add_image(self, number: int) -> str:
        """An image that no server opens; how QEMU reaches it by librbd."""
        self._run('rbd create "$1" --size "$2"', _image(number), f"{GIB}G")
        return f"rbd:{_image(number)}"

    def close(self) -> None:
        """Also what a killed run left."""
        self._run(_END, self.address)

    def url(self, number: int) -> str:
        return f"iscsi://{self.address}:3260/{_IQN}/{number}"

    def _run(self, script: str, *words: str) -> str:
        return self._lab.exec(NODE, "sh", "-c", script, "sh", *words)


def _image(number: int) -> str:
    return f"{POOL}/by-hand-{number}"


def shown(lab: Lab, address: str, number: int) -> float:
    """Waits until an initiator finds the LUN; when it did, in seconds since the epoch."""
    return int(lab.exec(INITIATOR, "sh", "-c", _SHOWN, "sh", address, str(number), timeout=120)) / 1e9


def settled(lab: Lab) -> None:
    """Waits until all data is where Ceph wants it."""
    lab.exec(NODE, "sh", "-c", _SETTLED)


def addresses(lab: Lab) -> tuple[str, str]:
    """Two of the lab's network that no machine has."""
    network = lab.exec(NODE, "hostname", "-I").split()[0].rpartition(".")[0]
    return f"{network}.91", f"{network}.92"


def servers(address: str) -> list[int]:
    """The processes, as this machine counts them, that serve targets at an address of the lab."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        if words[0].endswith("tgtd") and any(re.search(rf"portal={re.escape(address)}:", word) for word in words):
            found.append(int(file.parent.name))
    return found
