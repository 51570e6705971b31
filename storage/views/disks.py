"""GET /storage/disks/: nodes and disks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.tables import Chip, Empty
from storage.filters import DiskFilter
from storage.models import Disk
from storage.status import disk_status
from storage.tables import DiskTable
from storage.views.disk_add import add_disk_action
from storage.views.locations import location_note
from storage.views.look import Look, look_at_cluster, page_context

REGIONS = ("page-title", "host-locations", DiskTable.region)


@requires("storage.view")
@require_safe
def disk_list(request: HttpRequest) -> HttpResponse:
    """GET /storage/disks/?tier=1&host=primary&status=offline."""
    look = look_at_cluster(request)
    context = page_context(request, "Nodes and disks", look)
    if look is not None:
        context["actions"]["disk"] = add_disk_action(request)
        context |= _content(request, look) | location_note(request, look)
    return render_page(request, "storage/disks.html", context, regions=REGIONS)


def _content(request: HttpRequest, look: Look) -> dict[str, Any]:
    found = DiskFilter(request.GET, queryset=Disk.objects.filter(cluster=look.cluster))
    table = DiskTable(request, found.qs, found.form, context=look, unfiltered=len(look.disks))
    return {
        "table": table,
        "chips": _chips(table, look),
        "updated": look.cluster.observed_at,
        "empty": _empty(table, look),
    }


def _chips(table: DiskTable, look: Look) -> list[Chip]:
    chosen = table.request.GET.get("status", "")
    wrong = sum(disk_status(disk).state not in ("ok", "starting") for disk in look.disks)

    def chip(label: str, status: str, count: int, glyph: str = "") -> Chip:
        return Chip(label, table.address(status=status or None, page=None), count, chosen == status, glyph)

    return [chip("All", "", len(look.disks)), chip("Needs attention", "attention", wrong, "warn")]


def _empty(table: DiskTable, look: Look) -> Empty:
    total = len(look.disks)
    if total:
        hidden = "1 disk is" if total == 1 else f"{total:,} disks are"
        return Empty(
            "No disk matches the filter",
            f"{hidden} hidden by the filter.",
            "filter-off",
            ("Clear filter", table.clear_url),
        )
    return Empty(f"{look.cluster.name} has no disks", "Disks appear here as soon as the cluster has them.")
