"""Rows of the inventory for tests of pages."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.models import VE, InventoryRevision, Node, NodeNetwork, Placement

GIB = 1024**3


def make_node(name: str, **values: Any) -> Node:
    """A node that answered just now."""
    number = Node.objects.count() + 1
    defaults: dict[str, Any] = {
        "address": f"192.0.2.{number}",
        "state": NodeState.ONLINE,
        "observed_at": timezone.now(),
        "uuid": uuid.uuid4(),
        "onboarded_at": timezone.now(),
        "hostname": name,
        "libvirt_version": "9.0.0",
        "cpu_threads": 8,
        "cpu_percent": 20.0,
        "memory_bytes": 64 * GIB,
        "memory_free": 40 * GIB,
        "roles": ["VE"],
    }
    node = Node.objects.create(name=name, **{**defaults, **values})
    NodeNetwork.objects.create(node=node, name="default", bridge="virbr0")
    return node


def make_ve(name: str, node: Node | None, kind: str = "vm", state: str = VEState.RUNNING, **values: Any) -> VE:
    """A VE as its node showed it."""
    running = state not in (VEState.STOPPED, VEState.MISSING)
    defaults: dict[str, Any] = {
        "uuid": uuid.uuid4(),
        "vcpus": 2,
        "memory_bytes": 4 * GIB,
        "memory_used": GIB if running else None,
        "cpu_percent": 12.0 if running else None,
        "observed_at": timezone.now(),
        "graphics": {"type": "vnc", "listen": "socket"} if kind == "vm" else None,
        "nics": [{"mac": "52:54:00:00:00:01", "network": "default", "addresses": ["192.0.2.200"]}],
        "disks": [{"target": "vda", "source": "/srv/disk.qcow2", "type": "file", "format": "qcow2", "size_bytes": GIB}],
    }
    ve = VE.objects.create(name=name, kind=kind, state=state, node=node, **{**defaults, **values})
    if node is not None:
        Placement.objects.create(ve=ve, node=node, state=state, observed_at=timezone.now())
    return ve


def make_cluster() -> dict[str, Any]:
    """Three nodes and the VEs of the lab, by name."""
    primary, second, third = (make_node(name) for name in ("primary", "secondnode1", "secondnode2"))
    rows = [
        make_ve("ct1", primary, "ct"),
        make_ve("vm2", primary, state=VEState.STOPPED),
        make_ve("vmtest", primary, addresses=["192.0.2.174"]),
        make_ve("vmd-desktop", second, state=VEState.PAUSED),
        make_ve("cttest", second, "ct", state=VEState.STOPPED),
        make_ve("vmd-cli", third),
    ]
    InventoryRevision.bump()
    return {row.name: row for row in (primary, second, third, *rows)}


def silence(node: Node, minutes: int = 4) -> Node:
    """Make the node one that stopped answering."""
    since = timezone.now() - timedelta(minutes=minutes)
    Node.objects.filter(pk=node.pk).update(
        state=NodeState.UNREACHABLE, unreachable_since=since, observed_at=since, state_reason="Connection timed out."
    )
    node.refresh_from_db()
    return node
