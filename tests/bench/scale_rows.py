"""Many nodes and VEs, made through the models, for measuring pages at their full size."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from infrastructure.choices import Kind, NodeState, VEState
from infrastructure.models import VE, InventoryRevision, Node, Placement
from infrastructure.services.words import write_words

GIB = 1024**3
BATCH = 2000
AHEAD = timedelta(hours=6)  # nobody observes these nodes: they must not turn silent while they are measured


def fill(nodes: int, ves_each: int) -> None:
    """Add so many nodes with so many VEs each, all running and just seen; VEs have names, MACs and addresses."""
    now = timezone.now() + AHEAD
    with transaction.atomic():
        made = Node.objects.bulk_create([_node(number, now) for number in range(nodes)], batch_size=BATCH)
        rows = [_ve(node, place, count) for place, node in enumerate(made) for count in range(ves_each)]
        for row in rows:
            row.observed_at = now
        ves = VE.objects.bulk_create(rows, batch_size=BATCH)
        write_words(ves)
        Placement.objects.bulk_create(
            [Placement(ve=ve, node_id=ve.node_id, state=ve.state, observed_at=now) for ve in ves], batch_size=BATCH
        )
        rev = InventoryRevision.bump()
        Node.objects.update(rev=rev)
        VE.objects.update(rev=rev)


def _node(number: int, now: datetime) -> Node:
    return Node(
        name=f"node-{number:04}.rack{number // 40:02}.example.net",
        address=f"10.{number // 250}.{number % 250}.1",
        uuid=uuid.uuid4(),
        rack=f"r{number // 40:02}",
        room="hall 1",
        state=NodeState.ONLINE,
        observed_at=now,
        onboarded_at=now,
        hostname=f"node-{number:04}",
        libvirt_version="9.0.0",
        cpu_threads=64,
        cpu_percent=number % 70,
        memory_bytes=512 * GIB,
        memory_free=(200 + number % 100) * GIB,
        roles=["VE"],
    )


def _ve(node: Node, place: int, count: int) -> VE:
    number = place * 10_000 + count
    kind = Kind.CT if count % 5 == 0 else Kind.VM
    words = ("web", "db", "mail", "build", "cache", "queue", "proxy")
    address = f"172.{16 + place % 16}.{(place // 16) % 250}.{count % 250 + 2}"
    mac = f"52:54:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return VE(
        uuid=uuid.uuid4(),
        name=f"{words[number % 7]}-{number:07}",
        kind=kind,
        node=node,
        state=VEState.STOPPED if count % 9 == 0 else VEState.RUNNING,
        vcpus=2,
        memory_bytes=4 * GIB,
        memory_used=GIB,
        cpu_percent=count % 60,
        addresses=[address],
        nics=[{"mac": mac, "network": "default", "model": "virtio", "addresses": [address], "source": "virbr0"}],
        disks=[
            {
                "target": "vda",
                "source": f"/var/lib/libvirt/images/ve-{number}.qcow2",
                "type": "file",
                "format": "qcow2",
                "size_bytes": 20 * GIB,
                "bus": "virtio",
            }
        ],
        graphics={"type": "vnc", "listen": "socket"} if kind == Kind.VM else None,
    )
