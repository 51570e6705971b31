"""Rows of the Infrastructure tree, as the page shows them."""

from dataclasses import dataclass
from functools import cache

from django.urls import reverse

from infrastructure.models import VE, Node
from infrastructure.status import KIND_ICON, NODE_ICON, Status, kind_words, node_status, ve_status
from infrastructure.tree_shape import NOWHERE, Slot, Want
from panel.ui import format as fmt


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `key` is "root", "node:3" or "ve:7"; `index` counts all rows of the tree, `menu` has its actions.

    `count` is the number of its VEs, `holds` that of the rows below it when it is open.

    `before`, `match` and `after` are the name, cut at what the filter matched.
    """

    key: str
    index: int
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
    holds: int = 0
    menu: str = ""
    selected: bool = False
    before: str = ""
    match: str = ""
    after: str = ""

    @property
    def dom_id(self) -> str:
        return "t-" + self.key.replace(":", "-")

    @property
    def number(self) -> int:
        """The id in the key; 0 for the root and the row above VEs without a node."""
        return int(self.key.partition(":")[2] or 0)

    @property
    def is_ve(self) -> bool:
        return self.key.startswith("ve:")

    @property
    def folds(self) -> bool:
        """Whether it has an arrow; the root is always open."""
        return self.expanded is not None and self.key != "root"

    @property
    def faded(self) -> bool:
        return self.status is not None and self.status.state in ("stopped", "missing", "unknown")


def root_row(count: int, want: Want) -> Row:
    """The row of the whole system."""
    return Row(
        key="root",
        index=0,
        url=reverse("infrastructure:nodes"),
        label=f"Infrastructure, {fmt.count(count, 'VE')}, root",
        name="Infrastructure",
        level=1,
        position=1,
        siblings=1,
        icon="topology-star-3",
        count=count,
        expanded=True,
        holds=1,
        selected=want.selected == "root",
        before="Infrastructure",
    )


def node_row(node: Node, slot: Slot, count: int, siblings: int, want: Want) -> Row:
    """A node's row; `count` is the number of its VEs, `siblings` that of the rows beside it."""
    status = node_status(node, want.now)
    key = f"node:{node.pk}"
    before, match, after = _cut(node.name, want.query)
    return Row(
        key=key,
        index=slot.start,
        url=_link("infrastructure:node", node.pk),
        label=f"{node.name}, {fmt.count(count, 'VE')}, hardware node, {status.spoken}",
        name=node.name,
        level=2,
        position=slot.position,
        siblings=siblings,
        icon=NODE_ICON,
        status=status,
        count=count,
        expanded=slot.is_open,
        holds=slot.shown,
        menu=_link("infrastructure:node_menu", node.pk),
        selected=want.selected == key,
        before=before,
        match=match,
        after=after,
    )


def ve_row(ve: VE, node: Node | None, slot: Slot, index: int, want: Want) -> Row:
    """A VE's row: row number `index` of the tree, below the slot of its node."""
    status = ve_status(ve, node, want.now)
    key = f"ve:{ve.pk}"
    before, match, after = _cut(ve.name, want.query)
    return Row(
        key=key,
        index=index,
        url=_link("infrastructure:ve", ve.pk),
        label=f"{ve.name}, {kind_words(ve)}, {status.spoken}",
        name=ve.name,
        level=3,
        position=index - slot.start,
        siblings=slot.shown,
        icon=KIND_ICON[ve.kind],
        status=status,
        menu=_link("infrastructure:ve_menu", ve.pk),
        selected=want.selected == key,
        before=before,
        match=match,
        after=after,
    )


def nowhere_row(slot: Slot, count: int, siblings: int) -> Row:
    """The row above the VEs that no node has any more: they are shown, not dropped."""
    return Row(
        key=f"node:{NOWHERE}",
        index=slot.start,
        url=reverse("infrastructure:ves") + "?status=missing",
        label=f"Not on any node, {fmt.count(count, 'VE')}",
        name="Not on any node",
        level=2,
        position=slot.position,
        siblings=siblings,
        icon="help-circle",
        count=count,
        expanded=slot.is_open,
        holds=slot.shown,
        before="Not on any node",
    )


def _cut(name: str, query: str) -> tuple[str, str, str]:
    """The name in three parts, the middle one being what the filter matched."""
    at = name.lower().find(query.lower()) if query else -1
    if at < 0:
        return name, "", ""
    return name[:at], name[at : at + len(query)], name[at + len(query) :]


def _link(route: str, pk: int) -> str:
    """What `reverse` answers, without asking it for every row."""
    head, tail = _around_the_id(route)
    return f"{head}/{pk}/{tail}"


@cache
def _around_the_id(route: str) -> tuple[str, str]:
    head, _, tail = reverse(route, args=[0]).rpartition("/0/")
    return head, tail
