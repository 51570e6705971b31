"""What is written to the inventory. The collector and the jobs come through here, so both write the same way.

No function here holds a transaction while it asks an engine. Times (``at``) are when the engine was asked.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from infrastructure.choices import NodeState
from infrastructure.drivers.base import NotFound
from infrastructure.drivers.facts import NodeFacts, VEFacts
from infrastructure.models import VE, InventoryRevision, Node, Removal
from infrastructure.services.endpoints import driver
from infrastructure.services.inventory_batch import Batch, writing
from panel.live.poke import poke
from tasks.models import TaskLock

__all__ = [
    "Batch",
    "announce",
    "apply_addresses",
    "apply_gone",
    "apply_snapshot",
    "apply_ve",
    "mark_refused",
    "mark_unreachable",
    "refresh",
    "release",
    "set_migrating",
    "sweep",
    "writing",
]

MIGRATIONS = ("ve.migrate", "ve.move")
REMOVALS_KEPT = timedelta(days=7)  # a page that slept longer reads everything when it wakes


def refresh(node: Node, ve: VE | None = None) -> None:
    """Ask the node now, about all of it or one VE, and record the answer. Raises DriverError."""
    engine = driver(node)
    at = timezone.now()
    if ve is None:
        facts, ves = engine.facts(), engine.ves()
        apply_snapshot(node, facts, ves, at)
        return
    try:
        found = engine.ve(str(ve.uuid))
    except NotFound:
        apply_gone(node, str(ve.uuid), at)
    else:
        apply_ve(node, found, at)


def apply_snapshot(node: Node, facts: NodeFacts, ves: Collection[VEFacts], at: datetime | None = None) -> Batch:
    """Record a node and all its VEs; a VE that is not among them has left the node."""
    with writing() as batch:
        row = batch.node(node.pk)
        if row is not None and batch.node_answered(row, facts, at or batch.now):
            batch.listed(row, ves, at or batch.now)
    return batch


def apply_ve(node: Node, facts: VEFacts, at: datetime | None = None, *, booted: bool = False) -> Batch:
    """Record one VE as the node shows it."""
    with writing() as batch:
        if (row := batch.node(node.pk)) is not None:
            batch.placed(row, facts, at or batch.now, booted=booted)
    return batch


def apply_gone(node: Node, uuid: str, at: datetime | None = None) -> Batch:
    """Record that the node does not have a VE."""
    with writing() as batch:
        if (row := batch.node(node.pk)) is not None:
            batch.left(row, uuid, at or batch.now)
    return batch


def apply_addresses(node: Node, uuid: str, addresses: Collection[str]) -> Batch:
    """Record the IP addresses that the node gave for a VE that runs on it."""
    with writing() as batch:
        batch.addressed(node.pk, uuid, addresses)
    return batch


def mark_unreachable(node: Node, reason: str) -> Batch:
    """Record that the node does not answer. Nothing of it is deleted: its rows are shown with their age."""
    with writing() as batch:
        if (row := batch.node(node.pk)) is not None:
            batch.node_failed(row, reason)
    return batch


def mark_refused(node: Node, reason: str) -> Batch:
    """Record that another machine answers at the node's address, or that it does not accept the panel."""
    with writing() as batch:
        if (row := batch.node(node.pk)) is not None:
            batch.node_failed(row, reason, NodeState.REFUSED)
    return batch


def set_migrating(ve: VE, target: Node | None) -> None:
    """Show a VE as migrating, or (None) as what it is. The flag does not outlive the task: see ``sweep``."""
    with writing() as batch:
        row = batch.change(str(ve.uuid), migrating_to_id=target.pk if target else None)
    if row is not None:
        ve.migrating_to_id, ve.state, ve.rev = row.migrating_to_id, row.state, row.rev


def forget(ve: VE) -> None:
    """Delete the VE's row and its series."""
    with writing() as batch:
        batch.forget([ve])


def release(node: Node) -> None:
    """Take a node out of the inventory, before its row is deleted in the same transaction; its VEs run on."""
    with writing() as batch:
        batch.release(node)


def sweep() -> int | None:
    """Put right what a killed process left: migrations shown without a task, VEs without a node. Returns the revision.

    Cheap when there is nothing to do; called by the collector every few seconds.
    """
    if (old := Removal.objects.filter(at__lt=timezone.now() - REMOVALS_KEPT)).exists():
        old.delete()
    migrating = {f"ve:{ve.pk}": ve for ve in VE.objects.filter(migrating_to__isnull=False).only("uuid")}
    if migrating:
        held = TaskLock.objects.filter(key__in=migrating, task__kind__in=MIGRATIONS).values_list("key", flat=True)
        for key in held:
            del migrating[key]
    adrift = list(VE.objects.filter(node=None).only("uuid").annotate(places=Count("placements")))
    if not migrating and not adrift:
        return None
    with writing() as batch:
        for ve in migrating.values():
            batch.change(str(ve.uuid), migrating_to_id=None)
        for ve in adrift:
            batch.change(str(ve.uuid))
        batch.forget(ve for ve in adrift if not ve.places)
    return batch.rev


def announce() -> None:
    """Have the browsers read what changed; call it in or after the transaction that took a revision."""
    rev = InventoryRevision.current()
    transaction.on_commit(lambda: poke("inventory", rev), robust=True)
