"""Which rows the tree has, without reading them: where each node begins, so that any window of it can be asked for."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from infrastructure.models import VE, Node

NOWHERE = 0  # the branch of VEs that no node has
OVERSCAN = 20  # rows beyond either edge of what is in view
ROWS_IN_VIEW = 32  # what a first page load assumes; the browser says later
ROWS_AT_MOST = 240
OPEN_AT_MOST = 200


@dataclass
class Want:
    """What is asked for: the open nodes, the current object's key ("ve:7"), the filter, the rows from `first` on.

    Under a filter every node is open but those in `closed`.
    """

    opened: frozenset[int] = frozenset()
    selected: str = ""
    query: str = ""
    closed: frozenset[int] = frozenset()
    first: int = 0
    rows: int = ROWS_IN_VIEW + 2 * OVERSCAN
    now: datetime = field(default_factory=timezone.now)


@dataclass(frozen=True, slots=True)
class Slot:
    """A node's place: its row is number `start` of the tree, `shown` VEs follow it when it is open."""

    node: int
    name: str
    start: int
    position: int
    shown: int
    is_open: bool

    @property
    def end(self) -> int:
        return self.start + 1 + (self.shown if self.is_open else 0)


@dataclass(frozen=True, slots=True)
class Shape:
    """All slots in order; row 0 is the root. `totals` are the VEs of each node whatever the filter hides."""

    slots: list[Slot]
    matching: QuerySet[VE]
    totals: dict[int, int]
    nodes: int

    @property
    def rows(self) -> int:
        return self.slots[-1].end if self.slots else 1

    @property
    def ves(self) -> int:
        return sum(self.totals.values())

    def at(self, row: int) -> int:
        """The number of the slot that holds the row; rows beyond the end are in the last one."""
        return max(0, bisect_right(self.slots, row, key=lambda slot: slot.start) - 1)

    def between(self, first: int, end: int) -> list[Slot]:
        """The slots that have a row in the window."""
        if end <= 1 or not self.slots:
            return []
        last = self.at(end - 1)
        return [slot for slot in self.slots[self.at(max(first, 1)) : last + 1] if slot.end > first]

    def slot_of(self, node: int) -> Slot | None:
        return next((slot for slot in self.slots if slot.node == node), None)


def read_shape(nodes: QuerySet[Node], ves: QuerySet[VE], want: Want) -> Shape:
    """The tree's shape: two statements, with a filter three."""
    named = list(nodes.order_by("name").values_list("pk", "name"))
    totals = _counts(ves)
    matching, shown = ves, totals
    if want.query:
        matching = ves.filter(Q(name__icontains=want.query) | Q(node__name__icontains=want.query))
        shown = _counts(matching)
    return Shape(list(_slots(named, shown, want)), matching, totals, len(named))


def _slots(named: list[tuple[int, str]], shown: dict[int, int], want: Want) -> Iterator[Slot]:
    query = want.query.lower()
    row, position = 1, 0
    for node, name in [*named, (NOWHERE, "Not on any node")]:
        count = shown.get(node, 0)
        hidden = query and not count and (query not in name.lower() or node == NOWHERE)
        if hidden or (node == NOWHERE and not count):
            continue
        position += 1
        is_open = node not in want.closed if query else node in want.opened
        slot = Slot(node, name, row, position, count, is_open)
        row = slot.end
        yield slot


def _counts(ves: QuerySet[VE]) -> dict[int, int]:
    """Number of VEs by node, NOWHERE for those without one."""
    return {node or NOWHERE: n for node, n in ves.order_by().values_list("node").annotate(Count("pk"))}


def in_order(ves: QuerySet[VE]) -> QuerySet[VE]:
    """The VEs in the order in which the tree shows those of one node."""
    return ves.order_by("name", "pk")


def rank_of(ves: QuerySet[VE], ve: VE) -> int:
    """The place of a VE among those of its node, from 0."""
    before = Q(name__lt=ve.name) | Q(name=ve.name, pk__lt=ve.pk)
    return ves.filter(before, node=ve.node_id).count()
