"""GET /storage/disks/3/: all that is known of one disk, and what was done with it."""

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from infrastructure.views.performance import recent_tasks
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from storage.choices import Use
from storage.datastore_tables import OtherPool
from storage.drivers.facts import ClusterFacts
from storage.drivers.placing import Tree
from storage.models import Datastore, Disk
from storage.services.disk_checks import pools_on
from storage.services.locations import words
from storage.tables import disk_row
from storage.views.disk_actions import disk_actions, find_disk
from storage.views.look import page_context

# What a disk's state means and what to do, by the state of storage.status.disk_status.
_MEANS = {
    "offline": "Ceph still counts on it. See whether its node and the disk work; if it stays away, the cluster gives it"
    " up after some minutes and rebuilds its data on other disks.",
    "failed": "The cluster counts on it no more: what it held is rebuilt on other disks where there is room. Start its"
    " service again if the disk is good, or remove it and add another one.",
    "releasing": "It takes no new data, and what lies on it moves to other disks.",
    "no-tier": "No data of Mooring is placed on it. Change tier gives it one.",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A pool that keeps data on the disk, and the datastore it belongs to; None for any other pool."""

    pool: OtherPool
    datastore: Datastore | None


@requires("storage.view")
@require_safe
def disk_detail(request: HttpRequest, number: int) -> HttpResponse:
    """The page of a disk, by the number of its chunk service."""
    look, disk = find_disk(request, number)
    row = disk_row(disk, look)
    context = page_context(request, str(disk), look) | {
        "disk": disk,
        "row": row,
        "means": _MEANS.get(row.status.state, ""),
        "actions": disk_actions(request, disk),
        "place": _place(disk, look.facts),
        "held": _held(disk, look.facts),
        "tasks": recent_tasks("disk", disk.pk),
    }
    return render_page(request, "storage/disk.html", context, regions=("page-title", "tab-panel"))


def _place(disk: Disk, facts: ClusterFacts | None) -> str:
    """Room, row and rack of its host in Ceph's map; "" when it has none."""
    return words(Tree(facts.buckets).location(disk.host) or ()) if facts is not None else ""


def _held(disk: Disk, facts: ClusterFacts | None) -> list[Held]:
    found = pools_on(facts, disk.number) if facts is not None else []
    names = [pool.name for pool in found]
    owners = {
        name: datastore
        for datastore in Datastore.objects.filter(Q(data_pool__in=names) | Q(pool__in=names)).exclude(use=Use.LUN)
        for name in (datastore.pool, datastore.data_pool)
    }
    return [Held(OtherPool(pool, ""), owners.get(pool.name)) for pool in sorted(found, key=lambda pool: pool.name)]
