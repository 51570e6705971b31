"""Sets of nodes and VEs, as the lists and counts need them."""

from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Count, F, FloatField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.models import VE, Node
from infrastructure.status import FULL_PERCENT, STALE_AFTER

RUNNING_STATES = (VEState.RUNNING, VEState.MIGRATING, VEState.STOPPING)
ATTENTION_STATES = (VEState.CRASHED, VEState.MISSING, VEState.PAUSED, VEState.UNKNOWN)


def current_nodes(now: datetime | None = None) -> Q:
    """Nodes whose figures are current."""
    return Q(state=NodeState.ONLINE, observed_at__gte=(now or timezone.now()) - STALE_AFTER)


def needs_attention(now: datetime | None = None) -> Q:
    """Nodes without contact, not set up, refused, or nearly full (see `with_use`)."""
    full = Q(memory_share__gte=FULL_PERCENT) | Q(cpu_percent__gte=FULL_PERCENT)
    return ~current_nodes(now) | (full & Q(maintenance=False))


def with_use(nodes: QuerySet[Node]) -> QuerySet[Node]:
    """Add `memory_share`, the percentage of memory in use."""
    used = F("memory_bytes") - F("memory_free")
    return nodes.annotate(memory_share=Cast(used, FloatField()) * 100.0 / Cast(F("memory_bytes"), FloatField()))


def with_ve_counts(nodes: QuerySet[Node]) -> QuerySet[Node]:
    """Add `ve_count` and `running_count`."""
    mine = VE.objects.filter(node=OuterRef("pk")).order_by().values("node")
    return nodes.annotate(
        ve_count=Coalesce(Subquery(mine.annotate(n=Count("pk")).values("n")), 0),
        running_count=Coalesce(Subquery(mine.filter(state__in=RUNNING_STATES).annotate(n=Count("pk")).values("n")), 0),
    )


def node_counts(nodes: QuerySet[Node]) -> dict[str, Any]:
    """How many nodes each chip would show: all, attention, maintenance; and when one of them was heard last."""
    return with_use(nodes).aggregate(
        all=Count("pk"),
        updated=Max("observed_at"),
        attention=Count("pk", filter=needs_attention()),
        maintenance=Count("pk", filter=Q(maintenance=True)),
    )


def ve_counts(ves: QuerySet[VE]) -> dict[str, int]:
    """How many VEs each chip would show: all, running, stopped, attention. States of silent nodes are not claimed.

    Counted by node and state, which an index answers alone; asking of each VE whether its node is current costs five
    times as much over 50,000.
    """
    current = set(Node.objects.filter(current_nodes()).values_list("pk", flat=True))
    counts = Counter({"all": 0, "running": 0, "stopped": 0, "attention": 0})
    for node, state, number in ves.order_by().values_list("node", "state").annotate(Count("pk")):
        counts["all"] += number
        if node not in current or state in ATTENTION_STATES:
            counts["attention"] += number
        if node in current and state in RUNNING_STATES:
            counts["running"] += number
        elif node in current and state == VEState.STOPPED:
            counts["stopped"] += number
    return counts


def ve_attention() -> Q:
    """VEs that are crashed, missing, paused, or on a node that is silent."""
    bad = Q(state__in=ATTENTION_STATES) | Q(node=None)
    return bad | ~Q(node__in=Node.objects.filter(current_nodes()))
