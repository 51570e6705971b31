"""The lists of nodes and VEs: their columns, and what each row shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils import timezone

from infrastructure.choices import Kind
from infrastructure.models import VE, Node
from infrastructure.services import bulk
from infrastructure.status import KIND_ICON, KIND_SHORT, Status, is_current, memory_percent, node_status, ve_status
from panel.accounts.permissions import can_anywhere
from panel.ui.tables import Column, Table

ROLE_WORDS = {
    "VE": "Hosts virtual environments",
    "CS": "Chunk services",
    "MDS": "Metadata service",
    "iSCSI": "iSCSI target portal",
    "MGMT": "Management panel",
}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node with what its row shows; figures are None when they are not current."""

    node: Node
    status: Status
    running: int | None
    ves: int
    cpu: float | None
    memory: float | None
    roles: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class VERow:
    """A VE with what its row shows; figures are None when they are not current or it does not run."""

    ve: VE
    node: Node | None
    status: Status
    icon: str
    kind: str
    cpu: float | None
    memory: float | None
    runs: bool


def may_select(request: HttpRequest, type: str) -> bool:
    """Whether this user can do anything with several objects of a type at once."""
    return any(can_anywhere(request.user, action.permission) for action in bulk.ACTIONS.values() if action.type == type)


class NodeTable(Table):
    """Hardware Nodes. Rows come from `with_use(with_ve_counts(...))`."""

    columns = (
        Column("status", "Status", ("state", "maintenance"), filter="status", fixed=True),
        Column("name", "Hostname", ("name",), filter="q", fixed=True),
        Column("address", "Default IP address", ("address",), filter="address"),
        Column("version", "Version", ("libvirt_version",), minor=True, words="libvirt version"),
        Column("roles", "Roles", minor=True),
        Column("ves", "VEs", ("ve_count",), numeric=True, descending=True, words="VEs (running / all)"),
        Column("cpu", "CPU", ("cpu_percent",), descending=True),
        Column("memory", "RAM, GiB", ("memory_share",), descending=True),
        Column("rack", "Location", ("room", "row", "rack"), filter="rack", minor=True),
        Column("uptime", "Uptime", ("booted_at",), numeric=True, minor=True),
        Column("threads", "Threads", ("cpu_threads",), numeric=True, descending=True, extra=True, words="CPU threads"),
        Column("cpu_model", "CPU model", ("cpu_model",), extra=True),
        Column("qemu", "QEMU", ("qemu_version",), extra=True, words="QEMU version"),
        Column("kernel", "Kernel", ("kernel",), extra=True),
        Column("certificate", "Certificate", ("certificate_expires_at",), extra=True, words="Certificate valid until"),
    )
    row_template = "infrastructure/_node_row.html"
    bulk = "node"
    bulk_template = "infrastructure/_bulk_bar.html"
    noun = ("node", "nodes")
    region = "nodes-table"
    label = "Hardware nodes"

    @property
    def selects(self) -> bool:
        return may_select(self.request, self.bulk)

    def object_of(self, row: NodeRow) -> tuple[int, str]:
        return row.node.pk, row.node.name

    def decorate(self, rows: list[Any]) -> list[NodeRow]:
        now = timezone.now()
        return [node_row(node, now) for node in rows]


def node_row(node: Any, now: Any) -> NodeRow:
    """The row of a node annotated with `ve_count` and `running_count`."""
    current = is_current(node, now)
    return NodeRow(
        node=node,
        status=node_status(node, now),
        running=node.running_count if current else None,
        ves=node.ve_count,
        cpu=node.cpu_percent if current else None,
        memory=memory_percent(node) if current else None,
        roles=[(role, ROLE_WORDS.get(role, role)) for role in node.roles],
    )


class VETable(Table):
    """Virtual Environments of all nodes."""

    columns: ClassVar[Sequence[Column]] = (
        Column("status", "Status", ("state",), filter="status", fixed=True),
        Column("name", "Name", ("name",), filter="q", fixed=True),
        Column("kind", "Type", ("kind",), filter="kind", minor=True),
        Column("node", "Node", ("node__name",), filter="node"),
        Column("address", "IP address", filter="address"),
        Column("cpu", "CPU", ("cpu_percent",), descending=True),
        Column("memory", "RAM", ("memory_used",), descending=True),
        Column("uptime", "Uptime", ("started_at",), numeric=True, minor=True),
        Column("vcpus", "vCPUs", ("vcpus",), numeric=True, descending=True, extra=True),
        Column("size", "RAM size", ("memory_bytes",), numeric=True, descending=True, extra=True),
        Column("os", "System", ("os",), extra=True, words="Operating system"),
        Column("autostart", "Autostart", ("autostart",), extra=True),
        Column("snapshots", "Snapshots", ("snapshots",), numeric=True, descending=True, extra=True),
        Column("uuid", "UUID", extra=True),
    )
    row_template = "infrastructure/_ve_row.html"
    bulk = "ve"
    bulk_template = "infrastructure/_bulk_bar.html"
    noun = ("VE", "VEs")
    region = "ves-table"
    label = "Virtual environments"
    with_node = True

    @property
    def selects(self) -> bool:
        return may_select(self.request, self.bulk)

    @property
    def scope(self) -> str:
        """What the list is confined to besides its filters: "node:3", or nothing."""
        return ""

    def object_of(self, row: VERow) -> tuple[int, str]:
        return row.ve.pk, row.ve.name

    def decorate(self, rows: list[Any]) -> list[VERow]:
        now = timezone.now()
        return [ve_row(ve, ve.node, now) for ve in rows]


class NodeVETable(VETable):
    """Virtual Environments of one node."""

    columns = tuple(column for column in VETable.columns if column.key not in ("node", "kind"))
    region = "node-ves"
    with_node = False

    @property
    def scope(self) -> str:
        return f"node:{self.context.pk}" if self.context is not None else ""


class SummaryVETable(NodeVETable):
    """The first VEs on a node's summary: only to look at, with the default columns."""

    region = "node-ves-summary"
    chooses = False
    selects = False


def ve_row(ve: VE, node: Node | None, now: Any) -> VERow:
    """The row of a VE; figures only of one that runs on a node that answers."""
    status = ve_status(ve, node, now)
    runs = status.current and status.state in ("running", "migrating", "stopping", "paused")
    memory = 100 * ve.memory_used / ve.memory_bytes if ve.memory_used is not None and ve.memory_bytes else None
    return VERow(
        ve=ve,
        node=node,
        status=status,
        icon=KIND_ICON.get(ve.kind, KIND_ICON[Kind.VM]),
        kind=KIND_SHORT.get(ve.kind, ve.kind),
        cpu=ve.cpu_percent if runs else None,
        memory=memory if runs else None,
        runs=runs,
    )
