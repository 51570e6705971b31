"""The Infrastructure tree: of all its rows the window that a browser has in view, a little more at either edge."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.tree_rows import Row, node_row, nowhere_row, root_row, ve_row
from infrastructure.tree_shape import (
    NOWHERE,
    OVERSCAN,
    ROWS_AT_MOST,
    ROWS_IN_VIEW,
    Shape,
    Slot,
    Want,
    in_order,
    rank_of,
    read_shape,
)
from panel.accounts.models import User
from panel.accounts.scopes import visible
from panel.ui import format as fmt

ROW_HEIGHT = 26  # px, as navigation.css has it
SHOWN_OF_NODES = (
    *("name", "state", "state_reason", "observed_at", "unreachable_since", "onboarded_at", "added_at"),
    *("maintenance", "memory_bytes", "memory_free", "cpu_percent"),
)
VES_AT_ONCE = 1000  # that one range may select
Kind = TypeVar("Kind", Node, VE)
Person = User | AnonymousUser | None


@dataclass(frozen=True, slots=True)
class Tree:
    """The rows `first` to `end` of `total`. `revision` was read before them, so that nothing is missed in between.

    `top` is the row that the browser scrolls to, None to stay; `found` the row that was asked for.
    """

    revision: int
    rows: list[Row]
    first: int
    total: int
    footer: str
    opened: list[int]
    query: str = ""
    top: int | None = None
    found: int | None = None

    @property
    def end(self) -> int:
        return self.first + len(self.rows)

    @property
    def above(self) -> int:
        """Height in px of what is not there above the rows."""
        return self.first * ROW_HEIGHT

    @property
    def below(self) -> int:
        return (self.total - self.end) * ROW_HEIGHT

    @property
    def mark(self) -> str:
        """Equal for trees that look the same: a browser that has this one needs no other."""
        seen = repr((self.rows, self.first, self.total, self.footer))
        return blake2b(seen.encode(), digest_size=8).hexdigest()


def window(user: Person, want: Want) -> Tree:
    """The rows that were asked for; nodes and VEs the user may not see are not among them."""
    revision = InventoryRevision.current()
    return _tree(revision, _shape(user, want), want)


def page(user: Person, want: Want, *, top: int = 0, in_view: int = ROWS_IN_VIEW) -> Tree:
    """The tree of a whole page: the branch of its object is open, and its row is in view."""
    revision = InventoryRevision.current()
    ves = _seen(user, VE)
    kind, _, digits = want.selected.partition(":")
    number = int(digits) if digits.isdecimal() else 0
    current = ves.filter(pk=number).only("name", "node_id").first() if kind == "ve" else None
    if current:
        want = replace(want, opened=want.opened | {current.node_id or NOWHERE})
    shape = _shape(user, want)
    slot = shape.slot_of(current.node_id or NOWHERE) if current else shape.slot_of(number) if kind == "node" else None
    if slot is not None:
        row = slot.start + (1 + rank_of(ves, current) if current else 0)
        if not top <= row < top + in_view:
            top = max(0, row - in_view // 2)
    top = max(0, min(top, shape.rows - in_view))
    return _tree(revision, shape, replace(want, first=top - OVERSCAN, rows=in_view + 2 * OVERSCAN), top=top)


def find(user: Person, want: Want, prefix: str, after: int) -> Tree:
    """The window about the next row whose name begins with the prefix, from row `after` on and then from the top."""
    revision = InventoryRevision.current()
    shape = _shape(user, want)
    rows = sorted(_begin_with(shape, prefix.lower()))
    found = next((row for row in rows if row >= after), rows[0] if rows else None)
    if found is None:
        return _tree(revision, shape, want)
    return _tree(revision, shape, replace(want, first=found - want.rows // 2), found=found)


def ves_between(user: Person, want: Want, first: int, last: int) -> list[int]:
    """The VEs in the rows `first` to `last`, for a selection that reaches beyond the window; the first 1,000."""
    shape = _shape(user, want)
    end = min(last, shape.rows - 1) + 1
    found = _ves(shape, shape.between(first, end), max(first, 0), end, most=VES_AT_ONCE)
    return [ve.pk for slot in shape.slots for ve in found.get(slot.node, [])]


def _shape(user: Person, want: Want) -> Shape:
    return read_shape(_seen(user, Node), _seen(user, VE), want)


def _seen(user: Person, model: type[Kind]) -> QuerySet[Kind]:
    return visible(user, "infrastructure.view", model._default_manager.all())


def _tree(revision: int, shape: Shape, want: Want, *, top: int | None = None, found: int | None = None) -> Tree:
    rows = max(1, min(want.rows, ROWS_AT_MOST))
    first = max(0, min(want.first, shape.rows - rows))
    end = min(shape.rows, first + rows)
    slots = shape.between(first, end)
    nodes = Node.objects.only(*SHOWN_OF_NODES).in_bulk([slot.node for slot in slots if slot.node != NOWHERE])
    ves = _ves(shape, slots, first, end)
    shown = [root_row(shape.ves, want)] if first == 0 else []
    siblings = len(shape.slots)
    for slot in slots:
        node = nodes.get(slot.node)
        count = shape.totals.get(slot.node, 0)
        if slot.start >= first:
            shown.append(node_row(node, slot, count, siblings, want) if node else nowhere_row(slot, count, siblings))
        place = max(first, slot.start + 1)
        shown += [ve_row(ve, node, slot, at, want) for at, ve in enumerate(ves.get(slot.node, []), place)]
    return Tree(
        revision=revision,
        rows=shown,
        first=first,
        total=shape.rows,
        footer=f"{fmt.count(shape.nodes, 'node')}, {fmt.count(shape.ves, 'VE')}",
        opened=sorted(want.opened),
        query=want.query,
        top=top,
        found=found,
    )


def _ves(shape: Shape, slots: list[Slot], first: int, end: int, most: int | None = None) -> dict[int, list[VE]]:
    """The VEs of the window by node: one statement, as those of consecutive open nodes stand in one row; the
    ones that no node has are read apart."""
    fields = ("name", "kind", "state", "state_reason", "node_id")
    open_slots = [slot for slot in slots if slot.is_open and slot.shown and slot.node != NOWHERE]
    found: dict[int, list[VE]] = {}
    if open_slots:
        skipped = max(0, first - open_slots[0].start - 1)
        wanted = sum(min(slot.end, end) - max(slot.start + 1, first) for slot in open_slots)
        rows = shape.matching.filter(node__in=[slot.node for slot in open_slots]).only(*fields)
        # One node's VEs come in order from the index; ordering by the nodes' names as well would sort them all.
        rows = in_order(rows) if len(open_slots) == 1 else rows.order_by("node__name", "name", "pk")
        for ve in rows[skipped : skipped + (wanted if most is None else min(wanted, most))]:
            found.setdefault(ve.node_id or NOWHERE, []).append(ve)
    last = slots[-1] if slots else None
    if last is not None and last.node == NOWHERE and last.is_open:
        begin = max(0, first - last.start - 1)
        found[NOWHERE] = list(in_order(_nowhere(shape.matching)).only(*fields)[begin : end - last.start - 1])
    return found


def _nowhere(ves: QuerySet[VE]) -> QuerySet[VE]:
    return ves.filter(node=None)


def _begin_with(shape: Shape, prefix: str) -> list[int]:
    rows = [slot.start for slot in shape.slots if slot.name.lower().startswith(prefix)]
    starts = {slot.node: slot.start + 1 for slot in shape.slots if slot.is_open and slot.shown}
    inside = Q(node__in=starts) | (Q(node=None) if NOWHERE in starts else Q(pk=None))
    seen: dict[int, int] = {}
    for node, name in in_order(shape.matching.filter(inside)).values_list("node", "name"):
        place = seen[node or NOWHERE] = seen.get(node or NOWHERE, -1) + 1
        if name.lower().startswith(prefix):
            rows.append(starts[node or NOWHERE] + place)
    return rows
