"""The list of disks: its columns, and what each row shows."""

from dataclasses import dataclass
from typing import Any

from infrastructure.status import Status
from panel.ui.tables import Column, Table
from storage.choices import TIER_MEANING
from storage.models import Disk
from storage.status import disk_status
from storage.views.look import Look


@dataclass(frozen=True, slots=True)
class DiskRow:
    """A disk with what its row shows; `fill` and `latency` are None when they are not current."""

    disk: Disk
    status: Status
    tier: str
    meaning: str
    fill: float | None
    latency: float | None

    @property
    def free(self) -> int:
        """Bytes; only where the fill is known."""
        return max(0, self.disk.size - self.disk.used)

    @property
    def name_of_fill(self) -> str:
        return f"Fill of {self.disk}"


class DiskTable(Table):
    """Nodes and disks. `context` is the Look of the page."""

    columns = (
        Column("status", "Status", ("up", "taken"), filter="status", fixed=True),
        Column("name", "Disk", ("number",), filter="q", fixed=True),
        Column("node", "Node", ("host",), filter="host"),
        Column("tier", "Tier", ("device_class",), filter="tier"),
        Column("used", "Used", ("fill",), descending=True),
        Column("size", "Size", ("size",), numeric=True, descending=True),
        Column("latency", "Latency", ("latency",), numeric=True, descending=True, words="Latency of a commit"),
        Column("chunks", "Chunks", ("groups",), numeric=True, descending=True, minor=True),
        Column("device", "Device", ("device",), minor=True),
        Column("medium", "Medium", ("rotational",), extra=True),
        Column("weight", "Weight", ("crush_weight",), numeric=True, descending=True, extra=True, words="CRUSH weight"),
        Column("address", "Address", ("address",), extra=True),
        Column("version", "Version", ("version",), extra=True, words="Ceph version"),
        Column("uuid", "UUID", extra=True),
    )
    row_template = "storage/_disk_row.html"
    noun = ("disk", "disks")
    region = "disks-table"
    label = "Disks"
    default_sort = "node"
    tie_break = ("number", "pk")

    def decorate(self, rows: list[Any]) -> list[DiskRow]:
        return [disk_row(disk, self.context) for disk in rows]


def disk_row(disk: Disk, look: Look) -> DiskRow:
    shown = look.current and disk.up
    return DiskRow(
        disk=disk,
        status=disk_status(disk, current=look.current),
        tier=f"Tier {disk.tier}" if disk.tier is not None else disk.device_class or "No class",
        meaning=", ".join(TIER_MEANING[disk.tier]) if disk.tier is not None else "no tier of Mooring",
        fill=disk.fill if look.figures and disk.up else None,
        latency=disk.latency if shown and look.figures else None,
    )
