"""Statistics of many nodes: two statements when nothing changed noticeably, none of them inside a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import CharField
from django.db.models.functions import Cast

from infrastructure.choices import NodeState, VEState
from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.services.row_updates import update_rows
from infrastructure.status import full_of
from panel.live.poke import poke

CPU_STEP = 1.0  # percentage points
VE_MEMORY_STEP = 4 << 20  # bytes, or 1 % when that is more
NODE_MEMORY_STEP = 16 << 20


@dataclass(frozen=True, slots=True)
class VEReading:
    """A VE in a sample. ``state`` is the panel's; figures are None where they are not known."""

    uuid: str
    state: str
    cpu_percent: float | None = None
    memory_used: int | None = None


@dataclass(frozen=True, slots=True)
class NodeReading:
    """A node that answered at ``at``, with all its VEs."""

    node_id: int
    at: datetime
    cpu_percent: float | None
    memory_free: int | None
    ves: tuple[VEReading, ...]


@dataclass(slots=True)
class Outcome:
    """What applying samples showed.

    ``ids``: node id → UUID → primary key of the VEs placed there. ``wanted``: (node id, VE UUID) whose row does not
    agree with the sample: their facts are to be read. ``unknown``: nodes that must be read as a whole.
    """

    ids: dict[int, dict[str, int]] = field(default_factory=dict)
    wanted: set[tuple[int, str]] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    rev: int | None = None


def apply_samples(readings: Sequence[NodeReading]) -> Outcome:
    """Write the figures that changed noticeably under one revision; a node's age alone takes none."""
    outcome = Outcome()
    nodes, ves = _rows([reading.node_id for reading in readings])
    changed = _Changed()
    answered: dict[datetime, list[int]] = {}
    for reading in readings:
        node = nodes.get(reading.node_id)
        if node is None or node.state != NodeState.ONLINE:
            outcome.unknown.add(reading.node_id)
            continue
        # To the second, so that readings which came together share a statement.
        answered.setdefault(reading.at.replace(microsecond=0), []).append(reading.node_id)
        changed.look_at(node, reading)
        changed.ves += _compare(reading, ves.get(reading.node_id, {}), outcome)
    for at, pks in answered.items():
        Node.objects.filter(pk__in=pks, state=NodeState.ONLINE).update(observed_at=at)
    if changed.nodes or changed.crossing or changed.ves:
        outcome.rev = changed.write()
    return outcome


@dataclass(slots=True)
class _Changed:
    """What is to be written. ``crossing`` are nodes whose status changes with their figures, which the tree shows."""

    nodes: list[Node] = field(default_factory=list)
    crossing: list[Node] = field(default_factory=list)
    ves: list[VE] = field(default_factory=list)

    def look_at(self, node: Node, reading: NodeReading) -> None:
        cpu, memory = reading.cpu_percent, reading.memory_free
        if not (_moved(node.cpu_percent, cpu, CPU_STEP) or _moved(node.memory_free, memory, NODE_MEMORY_STEP)):
            return
        was_full = full_of(node) is not None
        node.cpu_percent, node.memory_free = cpu, memory
        (self.nodes if was_full == (full_of(node) is not None) else self.crossing).append(node)

    def write(self) -> int:
        with transaction.atomic():
            rev = InventoryRevision.bump()
            for node in self.nodes:
                node.figures_rev = rev
            for node in self.crossing:
                node.rev = rev
            for ve in self.ves:
                ve.figures_rev = rev
            update_rows(self.nodes, ["cpu_percent", "memory_free", "figures_rev"])
            update_rows(self.crossing, ["cpu_percent", "memory_free", "rev"])
            update_rows(self.ves, ["cpu_percent", "memory_used", "figures_rev"])
            transaction.on_commit(lambda: poke("inventory", rev), robust=True)
        return rev


@dataclass(slots=True)
class _VERow:
    pk: int
    state: str  # of the placement
    here: bool  # whether this node is the one the VE is on
    cpu_percent: float | None
    memory_used: int | None


def _rows(node_ids: list[int]) -> tuple[dict[int, Node], dict[int, dict[str, _VERow]]]:
    """One statement: the nodes with state and figures alone, and by node the VEs placed there by UUID."""
    nodes: dict[int, Node] = {}
    ves: dict[int, dict[str, _VERow]] = {}
    ve = "placements__ve__"
    columns = ["pk", "state", "cpu_percent", "memory_free", "memory_bytes", "placements__state", "placements__ve_id"]
    # The UUID as text: making 2,500 UUID objects of a sample's rows and text of them again took a third of its time.
    columns += ["uuid_text", f"{ve}node_id", f"{ve}cpu_percent", f"{ve}memory_used"]
    wanted = Node.objects.filter(pk__in=node_ids).order_by().annotate(uuid_text=Cast(f"{ve}uuid", CharField()))
    rows = wanted.values_list(*columns)
    for pk, state, cpu, free, memory, placed, ve_id, uuid, on, ve_cpu, ve_memory in rows.iterator():
        if pk not in nodes:
            nodes[pk] = Node(pk=pk, state=state, cpu_percent=cpu, memory_free=free, memory_bytes=memory)
        if ve_id is not None:
            ves.setdefault(pk, {})[_dashed(uuid)] = _VERow(ve_id, placed, on == pk, ve_cpu, ve_memory)
    return nodes, ves


def _dashed(uuid: str) -> str:
    """As libvirt writes it; SQLite keeps UUIDs without dashes."""
    return uuid if len(uuid) == 36 else f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}"


def _compare(reading: NodeReading, rows: dict[str, _VERow], outcome: Outcome) -> list[VE]:
    changed: list[VE] = []
    outcome.ids[reading.node_id] = {uuid: row.pk for uuid, row in rows.items()}
    seen = {ve.uuid for ve in reading.ves}
    outcome.wanted |= {(reading.node_id, uuid) for uuid in rows if uuid not in seen}
    for ve in reading.ves:
        row = rows.get(ve.uuid)
        if row is None or (ve.state not in (row.state, VEState.UNKNOWN)):
            outcome.wanted.add((reading.node_id, ve.uuid))
        elif row.here and (
            _moved(row.cpu_percent, ve.cpu_percent, CPU_STEP)
            or _moved(row.memory_used, ve.memory_used, max(VE_MEMORY_STEP, (row.memory_used or 0) // 100))
        ):
            changed.append(VE(pk=row.pk, cpu_percent=ve.cpu_percent, memory_used=ve.memory_used))
    return changed


def _moved(old: float | None, new: float | None, step: float) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) >= step
