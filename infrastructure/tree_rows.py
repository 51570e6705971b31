"""Rows of the Infrastructure tree, as the page shows them."""

from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from infrastructure.models import VE, Node
from infrastructure.status import KIND_ICON, NODE_ICON, Status, kind_words, node_status, ve_status
from panel.ui import format as fmt

NOWHERE = 0  # the branch of VEs that no node has


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `key` is "root", "node:3", "ve:7" or "more:3".

    `before`, `match` and `after` are the name, cut at what the filter matched.
    """

    key: str
    url: str
    label: str
    name: str
    level: int
    position: int
    siblings: int
    icon: str = ""
    status: Status | None = None
    count: int | None = None
    expanded: bool | None = None
    selected: bool = False
    before: str = ""
    match: str = ""
    after: str = ""

    @property
    def dom_id(self) -> str:
        return "t-" + self.key.replace(":", "-")

    @property
    def faded(self) -> bool:
        return self.status is not None and self.status.state in ("stopped", "missing", "unknown")


@dataclass(frozen=True, slots=True)
class Branch:
    """A node's row with the rows of its VEs, as far as it is open."""

    id: int
    rows: list[Row]


@dataclass
class Want:
    """What is asked for: open nodes, the current object's key, the filter."""

    open_nodes: set[int]
    selected: str
    query: str = ""
    now: datetime = field(default_factory=timezone.now)


def root_row(count: int, want: Want) -> Row:
    """The row of the whole system."""
    return Row(
        key="root",
        url=reverse("infrastructure:nodes"),
        label=f"Infrastructure, {fmt.count(count, 'VE')}, root",
        name="Infrastructure",
        level=1,
        position=1,
        siblings=1,
        icon="topology-star-3",
        count=count,
        expanded=True,
        selected=want.selected == "root",
        before="Infrastructure",
    )


def node_row(node: Node, count: int, is_open: bool, position: int, siblings: int, want: Want) -> Row:
    status = node_status(node, want.now)
    key = f"node:{node.pk}"
    before, match, after = _cut(node.name, want.query)
    return Row(
        key=key,
        url=reverse("infrastructure:node", args=[node.pk]),
        label=f"{node.name}, {fmt.count(count, 'VE')}, hardware node, {status.spoken}",
        name=node.name,
        level=2,
        position=position,
        siblings=siblings,
        icon=NODE_ICON,
        status=status,
        count=count,
        expanded=is_open,
        selected=want.selected == key,
        before=before,
        match=match,
        after=after,
    )


def ve_rows(node: Node | None, ves: list[VE], count: int, want: Want) -> list[Row]:
    siblings = len(ves) if want.query else count
    rows = []
    for position, ve in enumerate(ves, 1):
        status = ve_status(ve, node, want.now)
        key = f"ve:{ve.pk}"
        before, match, after = _cut(ve.name, want.query)
        rows.append(
            Row(
                key=key,
                url=reverse("infrastructure:ve", args=[ve.pk]),
                label=f"{ve.name}, {kind_words(ve)}, {status.spoken}",
                name=ve.name,
                level=3,
                position=position,
                siblings=siblings,
                icon=KIND_ICON[ve.kind],
                status=status,
                selected=want.selected == key,
                before=before,
                match=match,
                after=after,
            )
        )
    if ves and node is not None and not want.query and count > len(ves):
        rows.append(_more_ves(node, count, len(ves)))
    return rows


def _more_ves(node: Node, count: int, shown: int) -> Row:
    words = f"… {count - shown:,} more: open the node"
    url = reverse("infrastructure:node", args=[node.pk]) + "?tab=ves"
    return Row(f"more:{node.pk}", url, words, words, 3, shown + 1, count, before=words)


def more_row(want: Want, hidden: int, *, cut: bool) -> Row | None:
    """Nodes that are not shown, or matches (`cut`), and how to come to them."""
    if want.query and (cut or hidden):
        words = "… and more: type more of the name"
    elif hidden:
        words = f"… {hidden:,} more: filter, or open the list"
    else:
        return None
    return Row("more:nodes", reverse("infrastructure:nodes"), words, words, 2, 1, 1, before=words)


def nowhere_row(want: Want, count: int, position: int) -> Row:
    """The row above the VEs that no node has any more: they are shown, not dropped."""
    return Row(
        key=f"node:{NOWHERE}",
        url=reverse("infrastructure:ves") + "?status=missing",
        label=f"Not on any node, {fmt.count(count, 'VE')}",
        name="Not on any node",
        level=2,
        position=position,
        siblings=position,
        icon="help-circle",
        count=count,
        expanded=NOWHERE in want.open_nodes,
        before="Not on any node",
    )


def _cut(name: str, query: str) -> tuple[str, str, str]:
    """The name in three parts, the middle one being what the filter matched."""
    at = name.lower().find(query.lower()) if query else -1
    if at < 0:
        return name, "", ""
    return name[:at], name[at : at + len(query)], name[at + len(query) :]
