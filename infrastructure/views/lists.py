"""What the lists of nodes and VEs share."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from infrastructure.models import VE, Node
from infrastructure.querysets import ve_counts
from panel.accounts.permissions import can
from panel.accounts.scopes import visible
from panel.ui import format as fmt
from panel.ui.signed_in import user_of
from panel.ui.tables import Chip, Table

PERMISSION = "infrastructure.view"


@dataclass(frozen=True, slots=True)
class Head:
    """The page head of Infrastructure."""

    tab: str
    nodes: int
    ves: int
    words: str
    may_add: bool


def infrastructure_head(
    request: HttpRequest, tab: str, nodes: int | None = None, ves: dict[str, Any] | None = None
) -> Head:
    """Counts for the title and the tabs; those that the list has counted already are given."""
    counted = ves
    if counted is None:
        counted = ve_counts(visible(request.user, PERMISSION, VE.objects.all()))
    if nodes is None:
        nodes = visible(request.user, PERMISSION, Node.objects.all()).count()
    words = f"{fmt.count(nodes, 'node')}, {fmt.count(counted['all'], 'VE')}, {counted['running']:,} running"
    return Head(tab, nodes, counted["all"], words, can(user_of(request), "node.manage"))


def ve_chips(table: Table, counts: dict[str, Any]) -> list[Chip]:
    """All, running, stopped, needs attention."""
    chosen = table.request.GET.get("status", "")

    def chip(label: str, status: str, glyph: str = "") -> Chip:
        url = table.address(status=status or None, page=None)
        return Chip(label, url, counts[status or "all"], chosen == status, glyph)

    return [
        chip("All", ""),
        chip("Running", "running", "running"),
        chip("Stopped", "stopped", "stopped"),
        chip("Needs attention", "attention", "warn"),
    ]
