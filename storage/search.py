"""Searching datastores and disks: by name, pool, number, device, UUID or host."""

import re

from django.db.models import Case, Q, Value, When
from django.urls import reverse

from panel.accounts.models import User
from panel.search.registry import Found, Hit, Query, Source, register
from storage.choices import DatastoreState, Use
from storage.datastore_tables import APPEARANCE
from storage.models import Cluster, Datastore, Disk
from storage.services.datastores import policy_of
from storage.status import disk_status, is_current

PERMISSION = "storage.view"
_NUMBERED = re.compile(r"(?:cs|osd\.)?([0-9]{1,9})")


def find_datastores(user: User, query: Query) -> Found:
    """By a part of the name or of a pool's name; that of the very name first."""
    named = Q(name__icontains=query.text) | Q(pool__icontains=query.text) | Q(data_pool__icontains=query.text)
    rows = Datastore.objects.filter(named).exclude(use=Use.LUN)
    first = Case(When(name=query.lower, then=Value(0)), default=Value(1))
    found = list(rows.order_by(first, "name")[query.skip : query.skip + query.most])
    total = query.skip + len(found) if len(found) < query.most else rows.count()
    return Found([_datastore(each) for each in found], total)


def find_disks(user: User, query: Query) -> Found:
    """ "CS3", "osd.3" and "3" are the disk 3; else a part of the device's or host's name, or of the UUID."""
    numbered = _NUMBERED.fullmatch(query.lower)
    named = Q(device__icontains=query.text) | Q(host__icontains=query.text) | Q(uuid__icontains=query.text)
    rows = Disk.objects.filter(Q(number=int(numbered[1])) if numbered else named)
    found = list(rows.order_by("number")[query.skip : query.skip + query.most])
    total = query.skip + len(found) if len(found) < query.most else rows.count()
    # Without what the last look told: it is long.
    cluster = Cluster.objects.only("state", "observed_at", "connected_at", "added_at").first() if found else None
    current = cluster is not None and is_current(cluster)
    return Found([_disk(each, current=current) for each in found], total)


def register_sources() -> None:
    """Called when the app starts."""
    register(Source("datastores", "Datastores", PERMISSION, find_datastores, ("datastore", "datastores"), order=32))
    register(Source("disks", "Disks", PERMISSION, find_disks, ("disk", "disks"), order=34))


def _datastore(datastore: Datastore) -> Hit:
    state = DatastoreState(datastore.state)
    url = reverse("storage:datastore", args=[datastore.pk])
    return Hit(
        datastore.name, url, "stack-2", "datastore", state.label, APPEARANCE[state][0], str(policy_of(datastore))
    )


def _disk(disk: Disk, *, current: bool) -> Hit:
    status = disk_status(disk, current=current)
    tier = f"tier {disk.tier}" if disk.tier is not None else disk.device_class
    where = ", ".join(part for part in (disk.host, tier) if part)
    url = reverse("storage:disk", args=[disk.number])
    return Hit(str(disk), url, "disc", "disk", status.word, status.glyph, where, disk.device)
