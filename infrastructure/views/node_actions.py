"""Actions on a node: maintenance, location, setting it up again, removing it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from infrastructure.forms import LocationForm
from infrastructure.models import VE, Node
from infrastructure.querysets import RUNNING_STATES
from infrastructure.services import nodes
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.status import node_status
from infrastructure.views.actions import node_actions
from infrastructure.views.answers import put_error, refusal_answer, run
from panel.accounts.permissions import requires
from panel.ui.htmx import done, render_page
from panel.ui.signed_in import user_of


def _page(node: Node) -> str:
    return reverse("infrastructure:node", args=[node.pk])


def _dialog(request: HttpRequest, template: str, node: Node, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "tree_selected": f"node:{node.pk}",
        "node": node,
        "status": node_status(node),
        "actions": node_actions(user_of(request), node),
        "running": VE.objects.filter(node=node, state__in=RUNNING_STATES).count(),
        "ves": VE.objects.filter(node=node).count(),
        **more,
    }
    return render_page(request, template, context, fallback="dialog", status=status)


@requires("node.operate")
@require_http_methods(["GET", "HEAD", "POST"])
def node_maintenance(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: what it means. POST: enter or leave, as `enabled` says."""
    node = get_object_or_404(Node, pk=pk)
    if request.method != "POST":
        return _dialog(request, "infrastructure/node_maintenance.html", node)
    enabled = request.POST.get("enabled") == "1"
    try:
        nodes.set_maintenance(user=user_of(request), node=node, enabled=enabled, request=request)
    except ServiceError as refusal:
        return refusal_answer(request, refusal, _page(node))
    text = f"{node} is in maintenance." if enabled else f"{node} left maintenance."
    return done(request, text, _page(node), {"nodes": [node.pk]})


@requires("node.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_location(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: room, row and rack; 422 with the dialog when one cannot be accepted."""
    node = get_object_or_404(Node, pk=pk)
    if request.method != "POST":
        form = LocationForm(initial={"room": node.room, "row": node.row, "rack": node.rack})
        return _dialog(request, "infrastructure/node_location.html", node, form=form)
    form = LocationForm(request.POST)
    if form.is_valid():
        try:
            nodes.set_location(user=user_of(request), node=node, request=request, **form.cleaned_data)
        except InvalidInput as error:
            put_error(form, error)
        except ServiceError as refusal:
            return refusal_answer(request, refusal, _page(node))
        else:
            return done(request, f"The location of {node} is saved.", _page(node), {"nodes": [node.pk]})
    form.mark_errors()
    return _dialog(request, "infrastructure/node_location.html", node, 422, form=form)


@requires("node.manage")
@require_POST
def node_onboard(request: HttpRequest, pk: int) -> HttpResponse:
    """Set the node up again."""
    node = get_object_or_404(Node, pk=pk)
    return run(request, lambda: nodes.onboard(user=user_of(request), node=node, request=request), _page(node))


@requires("node.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog that names the effect. POST: start removing the node."""
    node = get_object_or_404(Node, pk=pk)
    if request.method != "POST":
        return _dialog(request, "infrastructure/node_remove.html", node)
    return run(request, lambda: nodes.remove(user=user_of(request), node=node, request=request), _page(node))
