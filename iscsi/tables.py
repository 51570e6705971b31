"""The lists of targets, LUNs and initiators: their columns, and what each row shows."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest

from infrastructure.status import Status
from iscsi.filters import SessionFilter
from iscsi.models import Lun, Target
from iscsi.status import addresses_of, initiators_of, limit_words, lun_status, target_status
from panel.ui.tables import Column, Table
from storage.redundancy import Policy
from storage.services.datastores import policy_of


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target with what its row shows; `initiators` is None when who is connected is not known now."""

    target: Target
    status: Status
    addresses: list[str]
    luns: int
    limits: str
    initiators: int | None


class TargetTable(Table):
    """Targets."""

    columns = (
        Column("status", "State", ("state",), fixed=True),
        Column("name", "IQN", ("iqn",), fixed=True),
        Column("node", "Node", ("node__name",), minor=True),
        Column("portals", "Portal IPs"),
        Column("luns", "LUNs", ("lun_count",), numeric=True, descending=True),
        Column("chap", "CHAP user", ("chap_user__name",)),
        Column("limits", "Limits", ("limit_iops", "limit_mbps"), minor=True),
        Column("initiators", "Initiators", numeric=True),
        Column("created", "Created", ("created_at",), extra=True),
    )
    row_template = "iscsi/_target_row.html"
    noun = ("target", "targets")
    region = "targets-table"
    label = "iSCSI targets"

    def decorate(self, rows: list[Any]) -> list[TargetRow]:
        return [_row(target) for target in rows]


def listed() -> QuerySet[Target]:
    """Targets with all that a row shows."""
    rows = Target.objects.select_related("node", "chap_user").prefetch_related("portals")
    return rows.annotate(lun_count=Count("luns"))


def _row(target: Any) -> TargetRow:
    status = target_status(target)
    return TargetRow(
        target=target,
        status=status,
        addresses=addresses_of(target.portals.all()),
        luns=target.lun_count,
        limits=limit_words(target),
        initiators=len(initiators_of(target)) if status.current else None,
    )


@dataclass(frozen=True, slots=True)
class LunRow:
    """A LUN with what its row shows."""

    lun: Lun
    status: Status
    policy: Policy


class LunTable(Table):
    """LUNs, those that are detached too."""

    columns = (
        Column("status", "State", ("stage", "served"), fixed=True),
        Column("name", "LUN", ("target__name", "number"), fixed=True),
        Column("target", "Target", ("target__name",)),
        Column("size", "Size", ("size",), numeric=True, descending=True),
        Column("policy", "Policy", ("datastore__tier", "datastore__mode")),
        Column("image", "Image", ("image",), minor=True),
        Column("created", "Created", ("created_at",), extra=True),
    )
    row_template = "iscsi/_lun_row.html"
    noun = ("LUN", "LUNs")
    region = "luns-table"
    label = "LUNs"
    tie_break = ("pk",)

    def decorate(self, rows: list[Any]) -> list[LunRow]:
        return [LunRow(lun, lun_status(lun), policy_of(lun.datastore)) for lun in rows]


class SessionTable(Table):
    """Initiators: a row for each session."""

    columns = (
        Column("status", "State", ("status.word",), fixed=True),
        Column("name", "Initiator", ("initiator",), filter="q", fixed=True),
        Column("address", "Address", ("address_order",), filter="address"),
        Column("target", "Target", ("target.name",), filter="target"),
        Column("node", "Node", ("target.node.name",), filter="node", minor=True),
        Column("seen", "Last seen", minor=True),
    )
    row_template = "iscsi/_session_row.html"
    noun = ("session", "sessions")
    region = "initiators-table"
    label = "Initiators"
    tie_break = ("initiator", "address_order", "target.name", "place")

    def __init__(self, request: HttpRequest) -> None:
        form = SessionFilter(request.GET)
        found = form.found()
        super().__init__(request, found.rows, form)
        self.more = found.more

    @property
    def found(self) -> str:
        return f"The first {self.total:,} sessions; filter for others" if self.more else super().found
