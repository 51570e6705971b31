"""What must hold after every fault, whatever happened."""

import time
from collections.abc import Callable
from typing import Any

from tests.chaos.asking import Asker
from tests.chaos.nodes import Nodes
from tests.chaos.target_truth import TargetTruth
from tests.e2e.lab import NODES

SETTLE = 60  # seconds within which every task must have reached its end by itself
SYNC = 60  # seconds within which the database must equal the engines: one full sync and its deadline, twice


class Violation(AssertionError):
    """A fault did what none may; such a round is never run once more."""


class Invariants:
    """Check I1 to I5; each method returns what is wrong, an empty list when nothing is."""

    def __init__(self, lab: Nodes, query: Asker) -> None:
        self._lab, self._query, self._targets = lab, query, TargetTruth(lab, query)
        self._newest = query("Task.objects.aggregate(n=Max('pk'))['n'] or 0")

    def check(self) -> None:
        """Wait for the system to settle, then look at every invariant; prints the verdict. Raises Violation."""
        wrong = {
            "I2 every task reached one final state": self._until(self._open_tasks, SETTLE),
            "I1 a VE runs on exactly one node": self._twice(),
            "I3 the database equals libvirt": self._until(self._differences, SYNC),
            "I3 the database equals Ceph": self._until(self._storage_differences, SYNC),
            "I3 the database equals tgt and RBD": self._until(self._targets.differences, SYNC),
            "I4 the task log is contiguous": self._gaps(),
            "I5 nothing is left behind": self._until(self._leftovers, 30),
        }
        for name, found in wrong.items():
            print(f"    {'ok   ' if not found else 'BROKEN'} {name}{': ' if found else ''}{found or ''}")
        if broken := {name: found for name, found in wrong.items() if found}:
            raise Violation(broken)

    @staticmethod
    def _until(look: Callable[[], list[Any]], seconds: float) -> list[Any]:
        deadline = time.monotonic() + seconds
        while (found := look()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _open_tasks(self) -> list[Any]:
        return self._query(
            "[[t.pk, t.kind, t.state, t.waiting_for] for t in "
            "Task.objects.filter(state__in=['waiting', 'queued', 'running'])]"
        )

    def _twice(self) -> list[Any]:
        """VEs that run, or are held, on more than one node."""
        seen: dict[str, list[str]] = {}
        for node, states in self._lab.everywhere().items():
            for name, state in states.items():
                if state in ("running", "paused"):
                    seen.setdefault(name, []).append(node)
        return [[name, nodes] for name, nodes in seen.items() if len(nodes) > 1]

    def _differences(self) -> list[Any]:
        """(name, node, libvirt's state, the panel's state) where the two differ."""
        shown = {
            (row[0], row[1]): row[2]
            for row in self._query(
                "[[v.name, v.node.name, v.state] for v in VE.objects.exclude(node=None).exclude(state='missing')]"
            )
        }
        true = {
            (name, node): state for node, states in self._lab.everywhere().items() for name, state in states.items()
        }
        return [[*key, true.get(key), shown.get(key)] for key in {*true, *shown} if true.get(key) != shown.get(key)]

    def _storage_differences(self) -> list[Any]:
        """(disk or pool, Ceph's state, the panel's state) where the two differ."""
        dump = self._lab.ceph("osd", "dump")
        true = {f"CS{disk['osd']}": [bool(disk["up"]), bool(disk["in"])] for disk in dump["osds"]}
        true |= {pool["pool_name"]: [pool["size"], pool["min_size"]] for pool in dump["pools"]}
        shown = dict(self._query("[[str(disk), [disk.up, disk.taken]] for disk in Disk.objects.all()]"))
        pools = "[[p['name'], [p['size'], p['min_size']]] for c in Cluster.objects.all() for p in c.pools]"
        shown |= dict(self._query(pools))
        return [[key, true.get(key), shown.get(key)] for key in {*true, *shown} if true.get(key) != shown.get(key)]

    def _orphans(self) -> list[Any]:
        """What of Mooring's Ceph has, and no datastore needs; and what of a datastore's is missing."""
        pools, shared = set(), set()
        rows = "Datastore.objects.filter(state='ready').values_list('pool', 'data_pool', 'tier', 'mode', 'domain')"
        for pool, data_pool, tier, mode, domain in self._query(f"list({rows})"):
            pools |= {name for name in (pool, data_pool) if name}
            shared |= {f"mooring-t{tier}.{domain}", f"mooring-t{tier}.{mode}.{domain}"}
        made = {name for name in self._lab.ceph("osd", "pool", "ls") if name.startswith("mooring")}
        rules = {name for name in self._lab.ceph("osd", "crush", "rule", "ls") if name.startswith("mooring")}
        profiles = {n for n in self._lab.ceph("osd", "erasure-code-profile", "ls") if n.startswith("mooring")}
        return sorted({*(pools ^ made), *((rules | profiles) - pools - shared)})

    def _gaps(self) -> list[Any]:
        return self._query(
            f"[t.pk for t in Task.objects.filter(pk__gt={self._newest}) "
            "if sorted([*t.steps.values_list('seq', flat=True), *t.lines.values_list('seq', flat=True)]) "
            "!= list(range(1, t.log_length + 1))]"
        )

    def _leftovers(self) -> list[Any]:
        locks = self._query(
            "[l.key for l in TaskLock.objects.exclude(task__state__in=['waiting', 'queued', 'running'])]"
        )
        open_steps = self._query(
            "[s.pk for s in TaskStep.objects.filter(state='running')"
            ".exclude(task__state__in=['waiting', 'queued', 'running'])]"
        )
        # One folder on all nodes: it is enough to look at it from one.
        markers = self._lab.exec(
            NODES[0], "find", "/srv/shared", "-xdev", "-name", ".mooring*", "-not", "-path", "*/proc/*"
        ).split()
        return [*locks, *open_steps, *markers, *self._orphans(), *self._targets.leftovers()]
