"""What was observed of the cluster: the one place that writes it to the rows, and reads it from them.

The collector and the jobs come through here. Times (``at``) are when the cluster was asked; an answer never replaces
a newer one. Nothing here asks the cluster.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from infrastructure.services.row_updates import update_each
from panel.live.poke import poke
from storage.choices import ClusterState
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster, Disk, StorageRevision
from storage.services.packing import FORMAT, cluster_columns, disk_columns, unpacked

WRONG_CLOCK = timedelta(minutes=1)
MOST_EVENTS = 50


def facts_of(cluster: Cluster, disks: Iterable[Disk] | None = None) -> ClusterFacts | None:
    """What the last look told; None when there was none, or another version of the panel wrote it.

    ``disks``: the cluster's rows where the caller has them already; otherwise they are read, in one query.
    """
    if cluster.facts_format != FORMAT or not cluster.status:
        return None
    return unpacked(cluster, cluster.disks.all() if disks is None else disks)


def record(cluster: Cluster, facts: ClusterFacts, at: datetime | None = None) -> int | None:
    """Write what a look told; returns the new revision, None when no page would show anything new.

    A disk that is not among the facts has left the cluster: its row is deleted. Facts of a cluster with another fsid
    are not written: the cluster is marked as refused.
    """
    at = at or timezone.now()
    with transaction.atomic():
        row = _locked(cluster, at)
        if row is None:
            return None
        if row.fsid is not None and str(row.fsid) != facts.fsid:
            reason = f"The monitors belong to another cluster: its fsid is {facts.fsid}, it was {row.fsid}"
            return _failed(row, ClusterState.REFUSED, reason, at)
        disks = {disk.number: disk for disk in row.disks.all()}
        if not facts.manager_answers and (earlier := facts_of(row, disks.values())) is not None:
            facts = _with_figures_of(earlier, facts)
        news = cluster_columns(facts) | {"state": ClusterState.ONLINE, "state_reason": "", "unreachable_since": None}
        news["heal_began"] = _most_to_heal(row, facts)
        news["events"] = _with_earlier(news["events"], row.events)
        changed = {name: value for name, value in news.items() if getattr(row, name) != value}
        added, updated, gone = _disks(disks, facts, at)
        if not (changed or added or updated or gone):
            Cluster.objects.filter(pk=row.pk).update(observed_at=at)
            return None
        rev = StorageRevision.bump()
        _write_disks(row, added, updated, gone, rev)
        Cluster.objects.filter(pk=row.pk).update(observed_at=at, rev=rev, **changed)
        announce()
    return rev


def mark_unreachable(cluster: Cluster, reason: str, at: datetime | None = None) -> int | None:
    """Record that the cluster does not answer, and why. What is known of it stays and is shown with its age."""
    return _mark(cluster, ClusterState.UNREACHABLE, reason, at)


def mark_refused(cluster: Cluster, reason: str, at: datetime | None = None) -> int | None:
    """Record that the cluster does not accept the panel, or is not the one that was connected."""
    return _mark(cluster, ClusterState.REFUSED, reason, at)


def announce() -> None:
    """Have the browsers read what changed; call it in or after the transaction that took a StorageRevision."""
    rev = StorageRevision.current()
    transaction.on_commit(lambda: poke("storage", rev), robust=True)


def _mark(cluster: Cluster, state: ClusterState, reason: str, at: datetime | None) -> int | None:
    at = at or timezone.now()
    with transaction.atomic():
        row = _locked(cluster, at)
        return _failed(row, state, reason, at) if row is not None else None


def _locked(cluster: Cluster, at: datetime) -> Cluster | None:
    """The row as it is now; None when it is gone, or something newer than ``at`` is written already."""
    row = Cluster.objects.select_for_update().filter(pk=cluster.pk).first()
    if row is None:
        return None
    known = row.observed_at
    # What was observed in the future was written while the clock was wrong: it would hold up all that follows.
    newer = known is not None and at <= known < timezone.now() + WRONG_CLOCK
    return None if newer else row


def _failed(row: Cluster, state: ClusterState, reason: str, at: datetime) -> int | None:
    if (row.state, row.state_reason) == (state, reason):
        return None
    since = row.unreachable_since or row.observed_at or at
    rev = StorageRevision.bump()
    Cluster.objects.filter(pk=row.pk).update(state=state, state_reason=reason, unreachable_since=since, rev=rev)
    announce()
    return rev


Changed = list[tuple[Disk, set[str]]]


def _disks(known: dict[int, Disk], facts: ClusterFacts, at: datetime) -> tuple[list[Disk], Changed, list[Disk]]:
    """Rows to add, rows that differ with the names of their columns, rows of disks that left."""
    added: list[Disk] = []
    updated: Changed = []
    for disk in facts.disks:
        columns = disk_columns(disk)
        row = known.get(disk.id)
        columns["down_since"] = None if disk.up or disk.starting else (row.down_since if row else None) or at
        if row is None:
            added.append(Disk(number=disk.id, **columns))
        elif names := _differing(row, columns):
            updated.append((row, names))
    present = {disk.id for disk in facts.disks}
    return added, updated, [row for number, row in known.items() if number not in present]


def _differing(row: Disk, columns: dict[str, Any]) -> set[str]:
    """Give the row the values; returns the names of those that it did not have."""
    names = {name for name, value in columns.items() if getattr(row, name) != value}
    for name in names:
        setattr(row, name, columns[name])
    return names


def _write_disks(cluster: Cluster, added: list[Disk], updated: Changed, gone: list[Disk], rev: int) -> None:
    for disk in added:
        disk.cluster, disk.rev = cluster, rev
    for disk, names in updated:
        disk.rev = rev
        names.add("rev")
    Disk.objects.bulk_create(added)
    update_each(updated)
    if gone:
        cluster.disks.filter(pk__in=[disk.pk for disk in gone]).delete()


def _most_to_heal(row: Cluster, facts: ClusterFacts) -> int:
    """What the present self-heal began with, in copies, so that its progress can be told; 0 at rest."""
    wrong = facts.groups.degraded_copies + facts.groups.misplaced_copies
    return max(wrong, row.heal_began) if wrong else 0


def _with_earlier(
    events: list[dict[str, str]] | None, known: list[dict[str, str]] | None
) -> list[dict[str, str]] | None:
    """The last lines of the log. Ceph 16 forgets a line within minutes: it keeps 50, most of them not worth showing."""
    if events is None:
        return known
    lines = {(event["at"], event["severity"], event["message"]): event for event in (*(known or ()), *events)}
    return [lines[key] for key in sorted(lines)][-MOST_EVENTS:]


def _with_figures_of(earlier: ClusterFacts, facts: ClusterFacts) -> ClusterFacts:
    """The facts with the figures that only a manager tells taken from the last look at which one answered."""
    disks = {disk.id: disk for disk in earlier.disks}
    pools = {pool.id: pool for pool in earlier.pools}
    return replace(
        facts,
        groups=earlier.groups,
        space=earlier.space,
        space_by_class=earlier.space_by_class,
        disks=tuple(
            replace(disk, size=old.size, used=old.used, groups=old.groups, commit_ms=old.commit_ms)
            if (old := disks.get(disk.id))
            else disk
            for disk in facts.disks
        ),
        pools=tuple(
            replace(pool, stored=was.stored, used=was.used, available=was.available, objects=was.objects)
            if (was := pools.get(pool.id))
            else pool
            for pool in facts.pools
        ),
    )
