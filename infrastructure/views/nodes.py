"""Hardware nodes: the list and a node's page."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from infrastructure.filters import NodeFilter, VEFilter
from infrastructure.models import VE, Node
from infrastructure.querysets import node_counts, ve_counts, with_use, with_ve_counts
from infrastructure.services.node_work import fingerprint
from infrastructure.status import NODE_ICON, is_current, node_status
from infrastructure.tables import NodeTable, NodeVETable, SummaryVETable
from infrastructure.views.actions import node_actions
from infrastructure.views.finding import find_node
from infrastructure.views.lists import PERMISSION, infrastructure_head, ve_chips
from infrastructure.views.node_tabs import node_network, node_tasks
from infrastructure.views.performance import RANGES, chosen_range, node_figures, recent_tasks
from panel.accounts.permissions import can, requires
from panel.accounts.scopes import visible
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Chip, Empty

TABS = {"summary": "Summary", "ves": "Virtual Environments", "network": "Network", "logs": "Logs"}


@requires("infrastructure.view")
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The panel opens with its nodes."""
    return redirect("infrastructure:nodes")


@requires("infrastructure.view")
@require_safe
def node_list(request: HttpRequest) -> HttpResponse:
    """GET /infrastructure/nodes/."""
    mine = visible(request.user, PERMISSION, Node.objects.all())
    found = NodeFilter(request.GET, queryset=with_use(with_ve_counts(mine)))
    counts = node_counts(mine)
    table = NodeTable(request, found.qs, found.form, unfiltered=counts["all"])
    context = {
        "tree_selected": "root",
        "table": table,
        "chips": _chips(table, counts),
        "updated": counts["updated"],
        "empty": _empty(request, table, counts["all"]),
        "head": infrastructure_head(request, "nodes", nodes=counts["all"]),
    }
    return render_page(request, "infrastructure/nodes.html", context, regions=(NodeTable.region, "page-title"))


def _chips(table: NodeTable, counts: dict[str, Any]) -> list[Chip]:
    chosen = table.request.GET.get("status", "")

    def chip(label: str, status: str, count: int, glyph: str = "") -> Chip:
        url = table.address(status=status or None, page=None)
        return Chip(label, url, count, chosen == status, glyph)

    return [
        chip("All", "", counts["all"]),
        chip("Needs attention", "attention", counts["attention"], "warn"),
        chip("Maintenance", "maintenance", counts["maintenance"], "maint"),
    ]


def _empty(request: HttpRequest, table: NodeTable, total: int) -> Empty:
    if total:
        hidden = "1 node is" if total == 1 else f"{total:,} nodes are"
        words = request.GET.get("q") or request.GET.get("address") or request.GET.get("rack")
        title = f"No node matches “{words}”" if words else "No node matches the filter"
        return Empty(title, f"{hidden} hidden by the filter.", "filter-off", ("Clear filter", table.clear_url))
    text = "A node is a server with libvirt that runs virtual environments. Mooring sets it up over SSH."
    may_add = can(user_of(request), "node.manage")
    action = ("Add node", reverse("infrastructure:node_add")) if may_add else ("", "")
    return Empty("No hardware nodes", text, NODE_ICON, action)


@requires("infrastructure.view")
@require_safe
def node_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /infrastructure/nodes/3/?tab=summary|ves|network|logs."""
    node = find_node(request, pk, with_ve_counts(Node.objects.all()))
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "summary"
    now = timezone.now()
    context: dict[str, Any] = {
        "tree_selected": f"node:{node.pk}",
        "node": node,
        "status": node_status(node, now),
        "current": is_current(node, now),
        "tab": tab,
        "tab_title": TABS[tab],
        "actions": node_actions(user_of(request), node),
        "refresh_ids": f"node:{node.pk}",
        "region_url": request.get_full_path(),
    }
    if tab == "ves":
        context |= _ve_tab(request, node)
    elif tab == "logs":
        context |= node_tasks(request, node)
    elif tab == "network":
        context |= node_network(node)
    else:
        context |= _summary(request, node, current=context["current"])
    regions = ("page-title", "tab-panel", "node-log-tasks", NodeVETable.region)
    return render_page(request, "infrastructure/node.html", context, regions=regions)


def _summary(request: HttpRequest, node: Any, *, current: bool) -> dict[str, Any]:
    span = chosen_range(request)
    ves = list(node.ves.order_by("name")[:50])
    table = SummaryVETable(request, VE.objects.none())
    return {
        "span": span,
        "ranges": [(key, words) for key, (words, _) in RANGES.items()],
        "figures": node_figures(node, span, current=current),
        "table": table,
        "rows": table.decorate(_with_node(ves, node)),
        "tasks": recent_tasks("node", node.pk),
        "networks": list(node.networks.all()),
        "fingerprint": fingerprint(node.host_key),
    }


def _ve_tab(request: HttpRequest, node: Node) -> dict[str, Any]:
    mine = VE.objects.filter(node=node).select_related("node")
    found = VEFilter(request.GET, queryset=mine)
    counts = ve_counts(VE.objects.filter(node=node))
    table = NodeVETable(request, found.qs, found.form, context=node, unfiltered=counts["all"])
    return {
        "table": table,
        "chips": ve_chips(table, counts),
        "kept_fields": [("tab", "ves")],
        "updated": node.observed_at,
        "empty": Empty(
            "No VE matches the filter" if counts["all"] else f"No VE on {node}",
            "Clear the filter to see all." if counts["all"] else "VEs appear here as soon as libvirt has them.",
            "filter-off" if counts["all"] else "box-off",
            ("Clear filter", table.clear_url) if counts["all"] else ("", ""),
        ),
        "refresh_ids": "",
    }


def _with_node(ves: list[VE], node: Node) -> list[VE]:
    """Point the VEs at the node that is loaded already."""
    for ve in ves:
        ve.node = node
    return ves


@requires("infrastructure.view")
@require_safe
def node_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """The items of a row's menu, fetched when it is opened."""
    node = find_node(request, pk)
    actions = list(node_actions(user_of(request), node).values())
    return render(request, "components/_menu_items.html", {"actions": actions, "name": node.name})
