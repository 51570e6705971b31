"""Searching targets and LUNs: by name, IQN, portal address or image."""

from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.urls import reverse

from iscsi.models import Lun, Portal, Target
from iscsi.status import lun_status, target_status
from panel.accounts.models import User
from panel.search.registry import Found, Hit, Query, Source, register

PERMISSION = "iscsi.view"


def find_targets(user: User, query: Query) -> Found:
    """By a part of the name, the IQN or a portal's address; that of the very name first."""
    portal = Exists(Portal.objects.filter(target=OuterRef("pk"), address__contains=query.lower))
    named = Q(name__icontains=query.text) | Q(iqn__icontains=query.text)
    rows = Target.objects.filter(named | Q(portal))
    first = Case(When(name=query.text, then=Value(0)), default=Value(1))
    page = rows.select_related("node").prefetch_related("portals").order_by(first, "name")
    found = list(page[query.skip : query.skip + query.most])
    total = query.skip + len(found) if len(found) < query.most else rows.count()
    return Found([_target(each, query) for each in found], total)


def find_luns(user: User, query: Query) -> Found:
    """By a part of the name or the image, of which the serial is a part, or by the target's name."""
    rows = Lun.objects.filter(
        Q(name__icontains=query.text) | Q(image__icontains=query.text) | Q(target__name__iexact=query.text)
    )
    page = rows.select_related("target__node", "datastore")
    found = list(page[query.skip : query.skip + query.most])
    total = query.skip + len(found) if len(found) < query.most else rows.count()
    return Found([_lun(each) for each in found], total)


def register_sources() -> None:
    """Called when the app starts."""
    register(Source("targets", "Targets", PERMISSION, find_targets, ("target", "targets"), order=36))
    register(Source("luns", "LUNs", PERMISSION, find_luns, ("LUN", "LUNs"), order=38))


def _target(target: Target, query: Query) -> Hit:
    status = target_status(target)
    addresses = [portal.address for portal in target.portals.all()]
    matched = next((address for address in addresses if query.lower in address), target.iqn)
    url = reverse("iscsi:target", args=[target.pk])
    return Hit(target.name, url, "target", "target", status.word, status.glyph, target.node.name, matched)


def _lun(lun: Lun) -> Hit:
    status = lun_status(lun)
    url = reverse("iscsi:lun", args=[lun.pk])
    where = lun.target.name if lun.target else "detached"
    return Hit(str(lun), url, "database", "LUN", status.word, status.glyph, where, lun.image)
