"""Virtual Environments: the list and a VE's page."""

from typing import Any

from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from infrastructure.filters import VEFilter
from infrastructure.models import VE, Node
from infrastructure.querysets import ve_counts
from infrastructure.status import KIND_ICON, KIND_SHORT, is_current, ve_status
from infrastructure.tables import VETable
from infrastructure.views.actions import holder_of, migrates, ve_actions
from infrastructure.views.finding import find_ve
from infrastructure.views.lists import PERMISSION, infrastructure_head, ve_chips
from infrastructure.views.node_tabs import LISTED_TASKS, ve_network
from infrastructure.views.performance import RANGES, RECENT_TASKS, chosen_range, recent_tasks, ve_figures
from panel.accounts.permissions import requires
from panel.accounts.scopes import visible
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Empty

TABS = {"summary": "Summary", "network": "Network", "logs": "Logs"}


@requires("infrastructure.view")
@require_safe
def ve_list(request: HttpRequest) -> HttpResponse:
    """GET /infrastructure/ves/."""
    mine = visible(request.user, PERMISSION, VE.objects.all())
    found = VEFilter(request.GET, queryset=mine.select_related("node"))
    counts = ve_counts(mine)
    table = VETable(request, found.qs, found.form, unfiltered=counts["all"])
    nodes = visible(request.user, PERMISSION, Node.objects.all()).aggregate(n=Count("pk"), at=Max("observed_at"))
    context = {
        "tree_selected": "root",
        "table": table,
        "chips": ve_chips(table, counts),
        "updated": nodes["at"],
        "empty": _empty(request, table, counts["all"]),
        "head": infrastructure_head(request, "ves", nodes=nodes["n"], ves=counts),
    }
    return render_page(request, "infrastructure/ves.html", context, regions=(VETable.region, "page-title"))


def _empty(request: HttpRequest, table: VETable, total: int) -> Empty:
    if not total:
        text = "A VE is a virtual machine or container. VEs appear here as soon as a node has them."
        return Empty("No virtual environments", text, "box-off")
    words = request.GET.get("q") or request.GET.get("address") or request.GET.get("node")
    title = f"No VE matches “{words}”" if words else "No VE matches the filter"
    hidden = "1 VE is" if total == 1 else f"{total:,} VEs are"
    return Empty(title, f"{hidden} hidden by the filter.", "filter-off", ("Clear filter", table.clear_url))


@requires("infrastructure.view")
@require_safe
def ve_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /infrastructure/ves/7/?tab=summary|network|logs."""
    ve = find_ve(request, pk, "migrating_to")
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "summary"
    context = head_context(request, ve, tab)
    if tab == "summary":
        span = chosen_range(request)
        status = context["status"]
        context |= {
            "span": span,
            "ranges": [(key, words) for key, (words, _) in RANGES.items()],
            "figures": ve_figures(ve, span, current=status.current and status.state != "stopped"),
            "disks": ve.disks,
            "nics": ve.nics,
        }
    elif tab == "network":
        context |= ve_network(ve)
    context["tasks"] = recent_tasks("ve", ve.pk, LISTED_TASKS if tab == "logs" else RECENT_TASKS)
    context["tab_title"] = TABS[tab]
    return render_page(request, "infrastructure/ve.html", context, regions=("page-title", "tab-panel"))


def _head_url(request: HttpRequest, ve: VE) -> str:
    """Where the head is read again: a dialog on a page of its own answers fragments with the dialog, not the head."""
    match = request.resolver_match
    if match is not None and match.view_name in ("infrastructure:ve", "infrastructure:console"):
        return request.get_full_path()
    return reverse("infrastructure:ve", args=[ve.pk])


def head_context(request: HttpRequest, ve: VE, tab: str) -> dict[str, Any]:
    """What the head of a VE's pages shows; the VE comes with its node."""
    now = timezone.now()
    holder = holder_of(ve)
    node_id = f" node:{ve.node.pk}" if ve.node else ""
    return {
        "tree_selected": f"ve:{ve.pk}",
        "ve": ve,
        "node": ve.node,
        "node_current": is_current(ve.node, now),
        "status": ve_status(ve, ve.node, now),
        "icon_name": KIND_ICON[ve.kind],
        "kind_short": KIND_SHORT[ve.kind],
        "tab": tab,
        "actions": ve_actions(user_of(request), ve),
        "holder": holder,
        "migrates": migrates(ve),
        "refresh_ids": f"ve:{ve.pk}{node_id}",
        "region_url": _head_url(request, ve),
    }


@requires("infrastructure.view")
@require_safe
def ve_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """The items of a row's menu, fetched when it is opened."""
    ve = find_ve(request, pk)
    actions = list(ve_actions(user_of(request), ve).values())
    return render(request, "components/_menu_items.html", {"actions": actions, "name": ve.name})
