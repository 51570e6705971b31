"""What the nodes and Ceph hold of iSCSI, compared with the panel's rows."""

import re
from typing import Any

from tests.chaos.asking import Asker
from tests.chaos.nodes import Nodes
from tests.e2e.lab import NODES

_LUN = re.compile(r"^        LUN: (\d+)$.*?^            Backing store path: (\S+)$", re.MULTILINE | re.DOTALL)
# All of one node in one look: its addresses, and what each server shows.
_LOOK = """
ip -o -4 address show dev br0 | awk '{ sub("/.*", "", $4); print "@address " $4 }'
for n in $(pgrep -a -x tgtd | sed -n 's/.* -C \\([0-9]*\\) .*/\\1/p'); do
    echo "@server $n"; timeout 5 tgtadm -C "$n" --lld iscsi --op show --mode target || true
done
"""
_IMAGES = 'for pool in "$@"; do rbd ls "$pool" | sed "s|^|$pool/|"; done'
_SERVED = """[[t.node.name, t.number, [[l.number, f"{l.datastore.pool}/{l.image}"] for l in
t.luns.filter(stage="ready").order_by("number")]] for t in Target.objects.filter(started=True, stage="ready")]"""
_KEPT = """[f"{l.datastore.pool}/{l.image}" for l in Lun.objects.exclude(stage__in=["failed", "partly"])]"""
_OWN = """[[n.name, [n.address, *Portal.objects.filter(target__node=n).values_list("address", flat=True)]]
for n in Node.objects.all()]"""


class TargetTruth:
    """Looked at on nodes that have the role, or had it at an earlier look of the same test."""

    def __init__(self, lab: Nodes, query: Asker) -> None:
        self._lab, self._query = lab, query
        self._nodes: set[str] = set()

    def differences(self) -> list[Any]:
        """(node, server, what it shows, what the rows say) where they differ; images without a row, and the reverse."""
        if not self._concerned():
            return []
        rows = {(node, number): luns for node, number, luns in self._query(_SERVED)}
        true = {(node, number): luns for node in self._nodes for number, luns in self._look(node)[1].items()}
        wrong: list[Any] = [[*key, true.get(key), luns] for key, luns in rows.items() if true.get(key) != luns]
        return [*wrong, *sorted(self._images() ^ set(self._query(_KEPT)))]

    def leftovers(self) -> list[Any]:
        """Servers of no target, and addresses of no portal."""
        if not self._concerned():
            return []
        rows = {(node, number) for node, number, _ in self._query(_SERVED)}
        own = dict(self._query(_OWN))
        found: list[Any] = []
        for node in sorted(self._nodes):
            addresses, servers = self._look(node)
            found += [f"{node}: server {number}" for number in servers if (node, number) not in rows]
            found += [f"{node}: {address}" for address in addresses if address not in own[node]]
        return found

    def _concerned(self) -> bool:
        self._nodes |= set(self._query("list(IscsiNode.objects.values_list('node__name', flat=True))"))
        return bool(self._nodes)

    def _look(self, node: str) -> tuple[list[str], dict[int, list[list[Any]]]]:
        """The node's addresses, and server → [number, pool/image] of each LUN but the target's own."""
        head, *servers = self._lab.exec(node, "sh", "-c", _LOOK).split("@server ")
        shown = {}
        for each in servers:
            number, _, text = each.partition("\n")
            shown[int(number)] = [[int(lun), path] for lun, path in _LUN.findall(text) if lun != "0"]
        return [line.split()[1] for line in head.splitlines()], shown

    def _images(self) -> set[str]:
        """pool/image of every LUN's image, in the pools whose marks say that they are for LUNs."""
        pools = [
            pool["pool_name"]
            for pool in self._lab.ceph("osd", "pool", "ls", "detail")
            if pool["application_metadata"].get("rbd", {}).get("mooring") == "lun" and not pool["erasure_code_profile"]
        ]
        return set(self._lab.exec(NODES[0], "sh", "-c", _IMAGES, "sh", *pools).split()) if pools else set()
