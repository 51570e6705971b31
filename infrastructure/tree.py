"""The rows of the Infrastructure tree: nodes, and the VEs of the nodes that are open."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils import timezone

from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.status import KIND_ICON, NODE_ICON, Status, kind_words, node_status, ve_status
from panel.ui import format as fmt

CHILDREN_SHOWN = 200
NODES_SHOWN = 200
OPEN_AT_MOST = 40
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


@dataclass(frozen=True, slots=True)
class Tree:
    """What the side shows. `revision` was read before the rows, so that nothing is missed in between."""

    revision: int
    root: Row
    branches: list[Branch]
    footer: str
    query: str = ""
    more: Row | None = None
    orphans: int = 0


@dataclass
class _Request:
    open_nodes: set[int]
    selected: str
    query: str = ""
    now: datetime = field(default_factory=timezone.now)


def build(*, open_nodes: Collection[int] = (), selected: str = "", query: str = "") -> Tree:
    """The whole tree. With a query only what matches is left, with its nodes, all open. At most 6 queries."""
    revision = InventoryRevision.current()
    want = _Request(set(list(open_nodes)[:OPEN_AT_MOST]), selected, query.strip())
    want.open_nodes |= _node_of(selected)
    nodes = Node.objects.order_by("name")
    shown = nodes
    if want.query:
        matching = VE.objects.filter(name__icontains=want.query)
        inside = matching.filter(node__isnull=False).values("node")
        shown = nodes.filter(Q(name__icontains=want.query) | Q(pk__in=inside))
    # Counted apart: joining the VEs to sort the nodes would walk all of both.
    totals = VE.objects.aggregate(ves=Count("pk"), orphans=Count("pk", filter=Q(node=None)))
    first = list(shown[: NODES_SHOWN + 1])
    node_count = len(first) if len(first) <= NODES_SHOWN else shown.count()
    branches = _branches(first[:NODES_SHOWN], want, siblings=node_count + bool(totals["orphans"]))
    orphans = totals["orphans"]
    if orphans and not want.query:
        branches.append(_nowhere(want, orphans, node_count + 1))
    root = Row(
        key="root",
        url=reverse("infrastructure:nodes"),
        label=f"Infrastructure, {fmt.count(totals['ves'], 'VE')}, root",
        name="Infrastructure",
        level=1,
        position=1,
        siblings=1,
        icon="topology-star-3",
        count=totals["ves"],
        expanded=True,
        selected=selected == "root",
        before="Infrastructure",
    )
    more = _more_nodes(node_count) if node_count > NODES_SHOWN else None
    total_nodes = Node.objects.count() if want.query else node_count
    footer = f"{fmt.count(total_nodes, 'node')}, {fmt.count(totals['ves'], 'VE')}"
    return Tree(revision, root, branches, footer, want.query, more, orphans)


def branches_of(node_ids: Iterable[int], *, open_nodes: Collection[int], selected: str = "") -> list[Branch]:
    """Single branches again, after something in them changed. Unknown nodes are left out."""
    want = _Request(set(list(open_nodes)[:OPEN_AT_MOST]) | _node_of(selected), selected)
    ids = set(node_ids)
    nodes = list(Node.objects.filter(pk__in=ids).order_by("name"))
    orphans = VE.objects.filter(node=None).count()
    siblings = Node.objects.count() + bool(orphans)
    branches = _branches(nodes, want, siblings)
    if NOWHERE in ids and orphans:
        branches.append(_nowhere(want, orphans, siblings))
    return branches


def _node_of(selected: str) -> set[int]:
    """The node whose branch must be open for the current object to be seen."""
    kind, _, number = selected.partition(":")
    if kind != "ve" or not number.isdigit():
        return set()
    found = VE.objects.filter(pk=int(number)).values_list("node", flat=True).first()
    return {found} if found is not None else set()


def _branches(nodes: list[Node], want: _Request, siblings: int) -> list[Branch]:
    ids = [node.pk for node in nodes]
    counts = dict(VE.objects.filter(node__in=ids).values_list("node").annotate(Count("pk")))
    opened = ids if want.query else [pk for pk in ids if pk in want.open_nodes]
    children: dict[int, list[VE]] = defaultdict(list)
    if opened:
        for ve in _first_ves(VE.objects.filter(node__in=opened), want.query, nodes):
            children[ve.node_id or NOWHERE].append(ve)
    positions = _positions(nodes, siblings)
    branches = []
    for node in nodes:
        is_open = node.pk in opened
        row = _node_row(node, counts.get(node.pk, 0), is_open, positions[node.pk], siblings, want)
        branches.append(Branch(node.pk, [row, *_ve_rows(node, children[node.pk], counts.get(node.pk, 0), want)]))
    return branches


def _positions(nodes: list[Node], siblings: int) -> dict[int, int]:
    """Place of each node among all nodes; asks the database only when some of the nodes are missing here."""
    if len(nodes) >= min(siblings - 1, NODES_SHOWN):
        return {node.pk: index for index, node in enumerate(nodes, 1)}
    order = list(Node.objects.order_by("name").values_list("pk", flat=True))
    place = {pk: index for index, pk in enumerate(order, 1)}
    return {node.pk: place.get(node.pk, 1) for node in nodes}


def _first_ves(ves: QuerySet[VE], query: str, nodes: list[Node]) -> list[VE]:
    """The first VEs of each node; under a filter those that match, or all of a node that matches itself."""
    if query:
        whole = [node.pk for node in nodes if query.lower() in node.name.lower()]
        ves = ves.filter(Q(name__icontains=query) | Q(node__in=whole))
    ranked = ves.annotate(rank=Window(RowNumber(), partition_by=[F("node")], order_by=["name", "pk"]))
    fields = ("name", "kind", "state", "state_reason", "node_id")
    return list(ranked.filter(rank__lte=CHILDREN_SHOWN).only(*fields).order_by("name", "pk"))


def _node_row(node: Node, count: int, is_open: bool, position: int, siblings: int, want: _Request) -> Row:
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


def _ve_rows(node: Node | None, ves: list[VE], count: int, want: _Request) -> list[Row]:
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


def _more_nodes(count: int) -> Row:
    words = f"… {count - NODES_SHOWN:,} more: filter, or open the list"
    return Row("more:nodes", reverse("infrastructure:nodes"), words, words, 2, NODES_SHOWN + 1, count, before=words)


def _nowhere(want: _Request, count: int, position: int) -> Branch:
    """VEs that no node has any more: they are shown, not dropped."""
    is_open = NOWHERE in want.open_nodes
    row = Row(
        key=f"node:{NOWHERE}",
        url=reverse("infrastructure:ves") + "?status=missing",
        label=f"Not on any node, {fmt.count(count, 'VE')}",
        name="Not on any node",
        level=2,
        position=position,
        siblings=position,
        icon="help-circle",
        count=count,
        expanded=is_open,
        before="Not on any node",
    )
    ves = list(VE.objects.filter(node=None).order_by("name")[:CHILDREN_SHOWN]) if is_open else []
    return Branch(NOWHERE, [row, *_ve_rows(None, ves, count, want)])


def _cut(name: str, query: str) -> tuple[str, str, str]:
    """The name in three parts, the middle one being what the filter matched."""
    at = name.lower().find(query.lower()) if query else -1
    if at < 0:
        return name, "", ""
    return name[:at], name[at : at + len(query)], name[at + len(query) :]
