"""The Network and Logs tabs of a node and of a VE."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from infrastructure.drivers.base import DriverError
from infrastructure.models import VE, Node
from infrastructure.services import node_logs
from infrastructure.services.errors import ServiceError
from infrastructure.services.figures import sentence
from infrastructure.services.wiring import wiring
from infrastructure.views.finding import find_node
from infrastructure.views.performance import recent_tasks
from panel.accounts.permissions import can, requires
from panel.ui.signed_in import user_of

LISTED_TASKS = 25


def node_network(node: Node) -> dict[str, Any]:
    """Networks, interfaces and adapters of a node."""
    ves = list(node.ves.only("name", "kind", "node", "nics", "addresses").order_by("name"))
    return {"wiring": wiring(node, ves)}


def ve_network(ve: VE) -> dict[str, Any]:
    """The adapters of a VE with what they are joined to."""
    if ve.node is None:
        return {"adapters": (), "observed_at": None}
    found = wiring(ve.node, [ve])
    return {"adapters": found.adapters, "observed_at": found.observed_at}


def node_tasks(request: HttpRequest, node: Node) -> dict[str, Any]:
    """The last tasks of a node, and whose logs may be read."""
    return {
        "tasks": recent_tasks("node", node.pk, LISTED_TASKS),
        "log_ves": list(node.ves.only("name", "node").order_by("name")),
        "may_read_log": can(user_of(request), "node.operate", node),
    }


@never_cache
@requires("node.operate")
@require_safe
def node_log(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /infrastructure/nodes/3/log/?ve=7: the last lines, or why there are none. Asks the node, for 3 s at most."""
    node = find_node(request, pk)
    chosen = request.GET.get("ve", "")
    ve = get_object_or_404(VE, pk=int(chosen), node=node) if chosen.isdecimal() and len(chosen) < 19 else None
    context: dict[str, Any] = {"node": node, "chosen": ve}
    try:
        context["log"] = node_logs.read(user=user_of(request), node=node, ve=ve, request=request)
    except PermissionDenied:
        raise
    except ServiceError as refusal:
        context |= {"cause": sentence(refusal.message), "advice": refusal.advice}
    except DriverError as error:
        context |= {"cause": sentence(error.message), "advice": error.advice}
    return render(request, "infrastructure/_node_log.html", context)
