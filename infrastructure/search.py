"""What of the inventory can be searched: nodes, VEs, and VEs by address alone."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils import timezone

from infrastructure.models import VE, Node, VEWords
from infrastructure.services.words import addresses_of
from infrastructure.status import KIND_ICON, NODE_ICON, kind_words, node_status, ve_status
from panel.accounts.models import User
from panel.accounts.scopes import visible
from panel.search.registry import Found, Hit, Query, Source, register

PERMISSION = "infrastructure.view"
NODE_FIELDS = ("name", "hostname", "address", "uuid", "room", "row", "rack")


def find_nodes(user: User, query: Query) -> Found:
    """Nodes by a part of their name, address, UUID or location."""
    matching = Q()
    for field in NODE_FIELDS:
        matching |= Q(**{f"{field}__icontains": query.lower})
    matching |= Q(uuid__icontains=query.lower.replace("-", ""))  # SQLite keeps a UUID without its dashes
    nodes = _ranked(visible(user, PERMISSION, Node.objects.filter(matching)), "name", query)
    rows, total = _part(nodes, query)
    now = timezone.now()
    return Found([_node_hit(node, query, now) for node in rows], total)


def find_ves(user: User, query: Query) -> Found:
    """VEs by a part of their name, UUID, MAC or IP addresses."""
    named = Q(names__contains=query.lower)
    return _find_ves(user, query, named | Q(addresses__contains=query.lower))


def find_addresses(user: User, query: Query) -> Found:
    """VEs by a part of a MAC or IP address."""
    found = _find_ves(user, query, Q(addresses__contains=query.lower))
    return replace(found, list_url="")


def register_sources() -> None:
    """Called when the app starts."""
    register(Source("nodes", "Nodes", PERMISSION, find_nodes, ("node", "nodes"), order=10))
    register(Source("ves", "VEs", PERMISSION, find_ves, ("VE", "VEs"), order=20))
    register(Source("addresses", "Addresses", PERMISSION, find_addresses, ("VE", "VEs"), order=30, narrow=True))


def _find_ves(user: User, query: Query, matching: Q) -> Found:
    """What matches is found in the narrow table of words; then the VEs that are shown are read."""
    everything = VE.objects.all()
    own = visible(user, PERMISSION, everything)
    words = VEWords.objects.filter(matching)
    if own is not everything:
        words = words.filter(ve__in=own.values("pk"))
    rows, total = _part(_ranked(words, "names", query), query)
    ves = VE.objects.select_related("node").in_bulk([row.pk for row in rows])
    now = timezone.now()
    hits = [_ve_hit(ves[row.pk], query, now) for row in rows if row.pk in ves]
    return Found(hits, total, _list_url(query))


def _ranked(rows: QuerySet[Any], field: str, query: Query) -> QuerySet[Any]:
    """What begins with the text first, then by name."""
    first = When(**{f"{field}__startswith": query.lower}, then=Value(0))
    begins = Case(first, default=Value(1), output_field=IntegerField())
    return rows.annotate(begins=begins).order_by("begins", field, "pk")


def _part(rows: QuerySet[Any], query: Query) -> tuple[list[Any], int]:
    """The rows that are wanted, and the number of all: counted only where more than these may match.

    Two scans are cheaper than one that carries the number along, which keeps every row until the last.
    """
    part = list(rows[query.skip : query.skip + query.most])
    if len(part) < query.most and (part or not query.skip):
        return part, query.skip + len(part)
    return part, rows.count()


def _list_url(query: Query) -> str:
    """The list of VEs filters by name: it shows the same when the text fits no UUID and no address."""
    if all(character in "0123456789abcdef-.:" for character in query.lower):
        return ""
    return f"{reverse('infrastructure:ves')}?{urlencode({'q': query.text})}"


def _node_hit(node: Node, query: Query, now: datetime) -> Hit:
    status = node_status(node, now)
    fields = [node.address, str(node.uuid or ""), node.location]
    return Hit(
        name=node.name,
        url=reverse("infrastructure:node", args=[node.pk]),
        icon=NODE_ICON,
        kind="hardware node",
        state=status.word,
        glyph=status.glyph,
        where=node.location,
        matched=_matched(node.name, fields, query),
    )


def _ve_hit(ve: VE, query: Query, now: datetime) -> Hit:
    status = ve_status(ve, ve.node, now)
    return Hit(
        name=ve.name,
        url=reverse("infrastructure:ve", args=[ve.pk]),
        icon=KIND_ICON[ve.kind],
        kind=kind_words(ve),
        state=status.word,
        glyph=status.glyph,
        where=f"on {ve.node}" if ve.node else "not on any node",
        matched=_matched(ve.name, [*addresses_of(ve), str(ve.uuid)], query),
    )


def _matched(name: str, others: Iterable[str], query: Query) -> str:
    """Which of the other fields holds the text, when the name does not."""
    if query.lower in name.lower():
        return ""
    return next((value for value in others if query.lower in value.lower()), "")
