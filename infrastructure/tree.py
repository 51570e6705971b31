"""The Infrastructure tree: nodes, and the VEs of the nodes that are open."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.tree_rows import (
    NOWHERE,
    Branch,
    Row,
    Want,
    more_row,
    node_row,
    nowhere_row,
    root_row,
    ve_rows,
)
from panel.ui import format as fmt

CHILDREN_SHOWN = 200
NODES_SHOWN = 100
MATCHES_SHOWN = 200  # VEs that a filter shows, over all nodes
OPEN_AT_MOST = 40


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


def build(*, open_nodes: Collection[int] = (), selected: str = "", query: str = "") -> Tree:
    """The whole tree. With a query only what matches is left, with its nodes, all open."""
    revision = InventoryRevision.current()
    want = Want(set(list(open_nodes)[:OPEN_AT_MOST]), selected, query.strip())
    want.open_nodes |= _node_of(selected)
    shown = _matching_nodes(want.query)
    # Counted apart: joining the VEs to sort the nodes would walk all of both.
    totals = VE.objects.aggregate(ves=Count("pk"), orphans=Count("pk", filter=Q(node=None)))
    first = list(shown[: NODES_SHOWN + 1])
    node_count = len(first) if len(first) <= NODES_SHOWN else shown.count()
    places = {node.pk: place for place, node in enumerate(first[:NODES_SHOWN], 1)}
    extra = _current_node(places, want)
    places |= {node.pk: Node.objects.filter(name__lt=node.name).count() + 1 for node in extra}
    branches = _branches([*first[:NODES_SHOWN], *extra], places, want, node_count + bool(totals["orphans"]))
    orphans = totals["orphans"]
    if orphans and not want.query:
        branches.append(_nowhere(want, orphans, node_count + 1))
    matches = sum(len(branch.rows) - 1 for branch in branches)
    more = more_row(want, node_count - len(places), cut=matches >= MATCHES_SHOWN)
    total_nodes = Node.objects.count() if want.query else node_count
    footer = f"{fmt.count(total_nodes, 'node')}, {fmt.count(totals['ves'], 'VE')}"
    return Tree(revision, root_row(totals["ves"], want), branches, footer, want.query, more, orphans)


def _matching_nodes(query: str) -> QuerySet[Node]:
    """The nodes to show: with a query those of that name, and those that hold a VE of it."""
    nodes = Node.objects.order_by("name")
    if not query:
        return nodes
    inside = VE.objects.filter(name__icontains=query, node__isnull=False).values("node")
    return nodes.filter(Q(name__icontains=query) | Q(pk__in=inside))


def branches_of(node_ids: Iterable[int], *, open_nodes: Collection[int], selected: str = "") -> list[Branch]:
    """Single branches again, after something in them changed. Unknown nodes are left out."""
    want = Want(set(list(open_nodes)[:OPEN_AT_MOST]) | _node_of(selected), selected)
    ids = set(node_ids)
    nodes = list(Node.objects.filter(pk__in=ids).order_by("name"))
    orphans = VE.objects.filter(node=None).count()
    places = {pk: place for place, pk in enumerate(Node.objects.order_by("name").values_list("pk", flat=True), 1)}
    siblings = len(places) + bool(orphans)
    branches = _branches(nodes, places, want, siblings)
    if NOWHERE in ids and orphans:
        branches.append(_nowhere(want, orphans, siblings))
    return branches


def _nowhere(want: Want, count: int, position: int) -> Branch:
    row = nowhere_row(want, count, position)
    ves = list(VE.objects.filter(node=None).order_by("name")[:CHILDREN_SHOWN]) if row.expanded else []
    return Branch(NOWHERE, [row, *ve_rows(None, ves, count, want)])


def _current_node(shown: Collection[int], want: Want) -> list[Node]:
    """The current object's node, where it is not among the first ones."""
    if want.query:
        return []
    kind, _, number = want.selected.partition(":")
    needed = {int(number)} if kind == "node" and number.isdigit() else _node_of(want.selected)
    return list(Node.objects.filter(pk__in=needed - set(shown)))


def _node_of(selected: str) -> set[int]:
    """The node whose branch must be open for the current object to be seen."""
    kind, _, number = selected.partition(":")
    if kind != "ve" or not number.isdigit():
        return set()
    found = VE.objects.filter(pk=int(number)).values_list("node", flat=True).first()
    return {found} if found is not None else set()


def _branches(nodes: list[Node], places: dict[int, int], want: Want, siblings: int) -> list[Branch]:
    ids = [node.pk for node in nodes]
    counts = dict(VE.objects.filter(node__in=ids).values_list("node").annotate(Count("pk")))
    opened = ids if want.query else [pk for pk in ids if pk in want.open_nodes]
    children: dict[int, list[VE]] = defaultdict(list)
    if opened:
        for ve in _first_ves(VE.objects.filter(node__in=opened), want.query, nodes):
            children[ve.node_id or NOWHERE].append(ve)
    branches = []
    for node in nodes:
        is_open = node.pk in opened
        row = node_row(node, counts.get(node.pk, 0), is_open, places.get(node.pk, 1), siblings, want)
        branches.append(Branch(node.pk, [row, *ve_rows(node, children[node.pk], counts.get(node.pk, 0), want)]))
    return branches


def _first_ves(ves: QuerySet[VE], query: str, nodes: list[Node]) -> list[VE]:
    """The first VEs of each node; under a filter those that match, or all of a node that matches itself."""
    fields = ("name", "kind", "state", "state_reason", "node_id")
    if query:
        whole = [node.pk for node in nodes if query.lower() in node.name.lower()]
        matching = ves.filter(Q(name__icontains=query) | Q(node__in=whole))
        return list(matching.only(*fields).order_by("node__name", "name", "pk")[:MATCHES_SHOWN])
    ranked = ves.annotate(rank=Window(RowNumber(), partition_by=[F("node")], order_by=["name", "pk"]))
    return list(ranked.filter(rank__lte=CHILDREN_SHOWN).only(*fields).order_by("name", "pk"))
