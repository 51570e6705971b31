"""After many changes with faults between them, the database, tgt and RBD say the same, and nothing is left over."""

import json
import os
import random
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from infrastructure.models import Node
from iscsi.models import Lun, Target
from iscsi.services import luns
from iscsi.services.access import servers_on
from storage.models import Datastore
from tasks.models import Task
from tests.iscsi.random_changes import NODES, Random, remove_all, settle
from tests.lab import ceph
from tests.lab.iscsi_panel import IscsiPanel

pytestmark = pytest.mark.lab

CHANGES = int(os.environ.get("MOORING_CHANGES", "25"))
POLICIES = (
    {"tier": 1, "mode": "r2", "domain": "host"},
    {"tier": 1, "mode": "ec3-2", "domain": "osd"},
    {"tier": 2, "mode": "r2", "domain": "osd"},
)
# What is killed: the target servers of the node, or the panel's connections to it.
FAULTS = ("pkill -KILL -f '^tgtd -f'", "pkill -KILL -f '^sshd: root'")


class LabWorld:
    """Targets and LUNs of the lab, as the random changes ask for them."""

    def __init__(self, panel: IscsiPanel) -> None:
        self.panel = panel
        self.nodes: Mapping[str, Node] = {name: panel.nodes.node(name) for name in NODES}

    def ask_target(self, name: str, node: str, **more: Any) -> tuple[Target, Task]:
        return self.panel.ask_target(name, node, **more)

    def ask_lun(self, target: Target, number: int, **more: Any) -> tuple[Lun, Task]:
        return luns.add(user=None, target=target, number=number, size_gib=1, **more)


class Broken(Random):
    """While every third change is made, the node loses its target servers or its connection with the panel."""

    world: LabWorld
    fault: threading.Timer | None = None

    def break_something(self) -> None:
        if self.dice.random() < 0.35:
            node, words = self.dice.choice(NODES), self.dice.choice(FAULTS)
            run = self.world.panel.lab.exec
            self.fault = threading.Timer(self.dice.uniform(0, 1), run, (node, "sh", "-c", f"{words}; true"))
            self.fault.start()

    def after(self) -> None:
        if self.fault is not None:
            self.fault.join()


def differences_of(panel: IscsiPanel) -> list[str]:
    """What rows, servers and cluster do not agree about."""
    wrong = []
    for name in NODES:
        servers = servers_on(panel.nodes.node(name))
        rows = {target.number: target for target in Target.objects.filter(node__name=name, started=True)}
        shown = {server.number: server.target for server in servers.servers().servers}
        if set(rows) != set(shown):
            wrong.append(f"{name} keeps the servers {sorted(shown)}, wanted are {sorted(rows)}")
        for number, target in rows.items():
            told = shown.get(number)
            there = {lun.number: (lun.pool, lun.image) for lun in told.luns} if told else None
            wanted = {lun.number: (lun.datastore.pool, lun.image) for lun in target.luns.all()}
            if there != wanted:
                wrong.append(f"{target} shows {there}, wanted are {wanted}")
        portals = {
            str(row) for row in Target.objects.filter(node__name=name).values_list("portals__address", flat=True)
        }
        added = {each.address for each in servers.addresses()} - {panel.lab.node(name).address}
        if added - portals:
            wrong.append(f"{name} has the addresses {added - portals} left")
    images = {}
    made = {pool for pool in ceph.told(panel.lab, "osd", "pool", "ls") if pool.startswith("mooring-lun.")}
    pools = {name for row in Datastore.objects.filter(use="lun") for name in (row.pool, row.data_pool) if name}
    if made != pools:
        wrong.append(f"Ceph has the pools {made}, wanted are {pools}")
    for pool in made & set(Datastore.objects.filter(use="lun").values_list("pool", flat=True)):
        for row in json.loads(ceph.rbd(panel.lab, "ls", "--long", pool, "--format", "json")):
            images[pool, row["image"]] = row["size"]
    wanted_images = {(lun.datastore.pool, lun.image): lun.size for lun in Lun.objects.select_related("datastore")}
    if images != wanted_images:
        wrong.append(f"RBD has {images}, wanted are {wanted_images}")
    return wrong


def test_rows_servers_and_cluster_agree_after_many_changes(iscsi_panel: IscsiPanel) -> None:
    seed = random.randrange(1 << 16)
    print(f"seed {seed}, {CHANGES} changes")
    dice = Broken(LabWorld(iscsi_panel), seed, POLICIES)
    iscsi_panel.nodes.run(dice.create())
    for _ in range(CHANGES):
        dice.one()
    states = list(Task.objects.filter(kind__startswith="iscsi.").values_list("state", flat=True))
    print({state: states.count(state) for state in set(states)}, dict(dice.refused))
    settle()
    assert differences_of(iscsi_panel) == []
    remove_all()
    assert differences_of(iscsi_panel) == []
    assert not Lun.objects.exists() and not Target.objects.exists()
