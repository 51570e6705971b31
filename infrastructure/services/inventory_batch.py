"""What one transaction does to the inventory: rows are loaded once, changed in memory, written with one revision."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.drivers.facts import NodeFacts, VEFacts
from infrastructure.models import VE, InventoryRevision, Node, Placement
from infrastructure.services.inventory_columns import assign, keep_sizes, node_columns, reason_of, state_of, ve_columns
from infrastructure.services.inventory_rows import Changes, Interfaces
from infrastructure.services.placement import Sighting, derive
from panel import series
from panel.live.poke import poke

BOOT_TIME_STEP = 5.0  # seconds
_AT_REST = {VEState.STOPPED, VEState.CRASHED, VEState.MISSING}


@contextmanager
def writing() -> "Iterator[Batch]":
    """A transaction on the inventory; at its end changed rows carry one new revision and the browsers are poked."""
    with transaction.atomic():
        if connection.features.has_select_for_update:
            # One writer of the inventory at a time, so that none decides on rows that another is changing.
            InventoryRevision.objects.select_for_update().get_or_create(pk=1)
        batch = Batch()
        yield batch
        batch.flush()


class Batch:
    """Observations go in by the methods; ``flush`` derives each touched VE once and writes what differs.

    ``at`` of a method is when the engine was asked. An observation older than the one that a placement came from
    changes nothing. After the flush ``wanted`` holds (node id, VE UUID) pairs whose facts should be read again, and
    ``rev`` the revision taken, None when nothing changed.
    """

    def __init__(self) -> None:
        self.now = timezone.now()
        self.rev: int | None = None
        self.wanted: set[tuple[int, str]] = set()
        self._changes = Changes()
        self._nodes: dict[int, Node | None] = {}
        self._ves: dict[str, VE] = {}
        self._looked_up: set[str] = set()
        self._loaded_nodes: set[int] = set()
        self._placements: dict[str, dict[int, Placement]] = {}
        self._facts: dict[tuple[str, int], VEFacts] = {}
        self._touched: dict[str, set[str]] = {}  # UUID → columns set already

    def node(self, node_id: int) -> Node | None:
        """The node's row; None when it was removed meanwhile."""
        if node_id not in self._nodes:
            self._nodes[node_id] = Node.objects.filter(pk=node_id).first()
        return self._nodes[node_id]

    def node_answered(self, node: Node, facts: NodeFacts, at: datetime) -> bool:
        """Record what a node is. False when it is not the machine that was onboarded: then it is refused."""
        if refusal := _identity_refusal(node, facts):
            self.node_failed(node, refusal, NodeState.REFUSED)
            return False
        columns = node_columns(facts) | {"state": NodeState.ONLINE, "state_reason": "", "unreachable_since": None}
        if node.memory_free is None:
            columns["memory_free"] = facts.memory_free
        if node.uuid is None and facts.uuid:
            columns["uuid"] = UUID(facts.uuid)
        self._change_node(node, columns)
        self._changes.networks[node.pk] = facts.networks
        self._changes.seen[node.pk] = max(at, self._changes.seen.get(node.pk, at))
        return True

    def node_failed(self, node: Node, reason: str, state: str = NodeState.UNREACHABLE) -> None:
        """Record that a node cannot be asked, or must not be trusted. Its VEs keep what was known."""
        columns: dict[str, object] = {"state": state, "state_reason": reason}
        if node.unreachable_since is None:
            columns["unreachable_since"] = node.observed_at or self.now
        self._change_node(node, columns)

    def node_booted(self, node: Node, at: datetime) -> None:
        """Record when a node was started; it computes the time anew each time, so a few seconds are no change."""
        known = node.booted_at
        if known is not None and abs((known - at).total_seconds()) <= BOOT_TIME_STEP:
            return
        self._change_node(node, {"booted_at": at})
        if known is not None:
            # Its VEs run anew since then, though it may not have been without contact for long enough to show it.
            for ve in self._ves_on(node):
                if ve.started_at is not None and ve.started_at < at:
                    self.change(str(ve.uuid), started_at=None)

    def interfaces(self, node: Node, found: Interfaces) -> None:
        """Record the network interfaces of a node."""
        self._changes.interfaces[node.pk] = found

    def listed(self, node: Node, ves: Collection[VEFacts], at: datetime) -> None:
        """Record all VEs of a node; those placed there that are not among them have left it."""
        uuids = {ve.uuid for ve in ves}
        self.load(uuids, [node.pk])
        for ve in ves:
            self.placed(node, ve, at)
        for uuid, placements in self._placements.items():
            if node.pk in placements and uuid not in uuids:
                self.left(node, uuid, at)

    def placed(self, node: Node, facts: VEFacts, at: datetime, *, booted: bool = False) -> None:
        """Record one VE as a node shows it. ``booted``: it was started just now, whatever it was before."""
        self.load([facts.uuid])
        ve = self._ves.get(facts.uuid)
        if ve is None:
            ve = self._ves[facts.uuid] = VE(uuid=facts.uuid, kind=facts.kind.value, name=facts.name[:255])
        placements = self._placements.setdefault(facts.uuid, {})
        placement = placements.get(node.pk)
        shown = state_of(facts.state), reason_of(facts.state, facts.reason)
        if placement is not None and self._is_older(at, placement.observed_at):
            return
        if placement is None:
            placement = placements[node.pk] = Placement(ve=ve, node=node)
        if (placement.state, placement.reason) != shown:
            placement.state, placement.reason = shown
            placement.observed_at = at
            self._changes.placements[facts.uuid, node.pk] = placement
        if booted:
            ve.started_at = at
        self._facts[facts.uuid, node.pk] = facts
        self._touch(facts.uuid, {"started_at"} if booted else set())

    def left(self, node: Node, uuid: str, at: datetime) -> None:
        """Record that a node does not have a VE."""
        self.load([uuid])
        placement = self._placements.get(uuid, {}).get(node.pk)
        if placement is not None and not self._is_older(at, placement.observed_at):
            self._end(placement)

    def addressed(self, node_id: int, uuid: str, addresses: Collection[str]) -> None:
        """Record the IP addresses that a node gave for a VE, while it runs there."""
        self.load([uuid])
        ve = self._ves.get(uuid)
        if ve is not None and ve.node_id == node_id and ve.state not in _AT_REST:
            self.change(uuid, addresses=list(addresses))

    def change(self, uuid: str, **columns: object) -> VE | None:
        """Set columns of a VE and derive it again; None when there is no such VE."""
        self.load([uuid])
        ve = self._ves.get(uuid)
        if ve is not None:
            self._touch(uuid, assign(ve, columns))
        return ve

    def release(self, node: Node) -> None:
        """Take a node that is about to be deleted out of the inventory; VEs known only from it go with it."""
        self.load([], [node.pk])
        for placements in list(self._placements.values()):
            if node.pk in placements:
                self._end(placements[node.pk])
        self.forget(ve for uuid, ve in self._ves.items() if not self._placements[uuid] and ve.node_id == node.pk)
        self.forget(VE.objects.filter(node=node, placements=None))
        self._changes.removed_nodes.add(node.pk)

    def forget(self, ves: Iterable[VE]) -> None:
        """Delete VEs and their series."""
        self._changes.removed_ves.update(ve.pk for ve in ves if ve.pk)

    def node_removed(self, node_id: int) -> None:
        """Tell the browsers of a node whose row is deleted already."""
        self._changes.removed_nodes.add(node_id)

    def foresee(self, nodes: Collection[int], uuids: Iterable[str], listed: Collection[int]) -> None:
        """Fetch in three statements what the coming observations need: nodes, VEs, and all VEs of the listed nodes."""
        self._nodes |= dict.fromkeys(nodes) | Node.objects.in_bulk(nodes)
        self.load(uuids, listed)

    def load(self, uuids: Iterable[str], nodes: Collection[int] = ()) -> None:
        """Fetch VEs, and all that are placed on the nodes, each with all its placements. Nothing is fetched twice."""
        missing = set(uuids) - self._looked_up
        nodes = set(nodes) - self._loaded_nodes
        if not missing and not nodes:
            return
        self._looked_up |= missing
        self._loaded_nodes |= nodes
        wanted = Q(uuid__in=missing)
        if nodes:
            wanted |= Q(pk__in=Placement.objects.filter(node__in=nodes).values("ve"))
        rows = {ve.pk: ve for ve in VE.objects.filter(wanted) if str(ve.uuid) not in self._ves}
        for ve in rows.values():
            uuid = str(ve.uuid)
            self._looked_up.add(uuid)
            self._ves[uuid] = ve
            self._placements[uuid] = {}
        for placement in Placement.objects.filter(ve__in=rows):
            placement.ve = rows[placement.ve_id]
            self._placements[str(placement.ve.uuid)][placement.node_id] = placement

    def flush(self) -> None:
        """Derive, then write everything that differs."""
        for uuid in self._touched:
            ve = self._ves[uuid]
            if ve.pk in self._changes.removed_ves or (ve.pk is None and not self._placements[uuid]):
                continue
            if (names := self._settle(uuid)) or ve.pk is None:
                self._changes.ves[uuid] = ve, names
        self.rev = rev = self._changes.write()
        if rev is not None:
            removed = [("ve", pk) for pk in self._changes.removed_ves]
            removed += [("node", pk) for pk in self._changes.removed_nodes]
            transaction.on_commit(lambda: _announce(rev, removed), robust=True)

    def _settle(self, uuid: str) -> set[str]:
        """Derive one VE from its placements; the names of the columns to write."""
        ve, before = self._ves[uuid], self._ves[uuid].state
        last = self.node(ve.node_id) if ve.node_id and not self._placements[uuid] else None
        verdict = derive(
            [self._sighting(placement) for placement in self._placements[uuid].values()],
            current=ve.node_id,
            migrating=ve.migrating_to_id is not None,
            last_node=last.name if last else "",
        )
        columns: dict[str, Any] = {"node_id": verdict.node_id, "state": verdict.state}
        columns["state_reason"] = verdict.reason[:250]
        if facts := self._facts.get((uuid, verdict.node_id or 0)):
            columns |= ve_columns(facts)
            columns["disks"] = keep_sizes(columns["disks"], ve.disks)
        elif verdict.node_id is not None and verdict.node_id != ve.node_id:
            self.wanted.add((verdict.node_id, uuid))
        if verdict.state in _AT_REST:
            columns |= {"started_at": None, "cpu_percent": None, "memory_used": None, "addresses": []}
        elif before in (VEState.STOPPED, VEState.CRASHED):
            columns["started_at"] = self.now
        changed = self._touched[uuid] | assign(ve, columns)
        if changed - {"rev"}:
            ve.observed_at = self.now
            changed.add("observed_at")
        return changed

    def _sighting(self, placement: Placement) -> Sighting:
        node = self.node(placement.node_id)
        return Sighting(
            node_id=placement.node_id,
            node_name=node.name if node else "",
            state=placement.state,
            reason=placement.reason,
            observed_at=placement.observed_at,
            reachable=node is not None and node.state == NodeState.ONLINE,
        )

    def _change_node(self, node: Node, columns: dict[str, object]) -> None:
        _node, names = self._changes.nodes.setdefault(node.pk, (node, set()))
        changed = assign(node, columns)
        names |= changed
        if "state" in changed:
            # The pages of its VEs show whether they are current, and another node's sighting may count for more now.
            for ve in self._ves_on(node):
                self._touch(str(ve.uuid), {"rev"})

    def _ves_on(self, node: Node) -> list[VE]:
        self.load([], [node.pk])
        return [self._ves[uuid] for uuid, placements in self._placements.items() if node.pk in placements]

    def _touch(self, uuid: str, columns: set[str]) -> None:
        self._touched.setdefault(uuid, set()).update(columns)

    def _end(self, placement: Placement) -> None:
        uuid = str(placement.ve.uuid)
        del self._placements[uuid][placement.node_id]
        self._changes.placements.pop((uuid, placement.node_id), None)
        self._facts.pop((uuid, placement.node_id), None)
        if placement.pk:
            self._changes.ended.append(placement)
        self._touch(uuid, set())

    def _is_older(self, at: datetime, known: datetime) -> bool:
        # A known time in the future was written before the clock was set back: it says nothing.
        return at < known <= self.now


def _identity_refusal(node: Node, facts: NodeFacts) -> str:
    if node.uuid is not None and str(node.uuid) != facts.uuid:
        return (
            f"The host UUID of {node.address} is {facts.uuid}, it was {node.uuid} when the node was set up: this is "
            "another machine. Check the address; if the machine was replaced, remove the node and add it again."
        )
    if node.uuid is not None or not facts.uuid:
        return ""
    if (twin := Node.objects.filter(uuid=facts.uuid).exclude(pk=node.pk).first()) is not None:
        return (
            f"The host UUID {facts.uuid} is that of node {twin.name}. If these are two machines, set a UUID of its "
            "own as host_uuid in /etc/libvirt/libvirtd.conf on one of them and restart its libvirtd."
        )
    return ""


def _announce(rev: int, removed: list[tuple[str, int]]) -> None:
    poke("inventory", rev)
    for kind, pk in removed:
        series.remove(kind, pk)
