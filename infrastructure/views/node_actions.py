"""Actions on a node: maintenance, services, certificates, location, setting it up again, removing it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from infrastructure.forms import LocationForm
from infrastructure.models import VE, Node
from infrastructure.querysets import RUNNING_STATES
from infrastructure.services import node_work, nodes
from infrastructure.services.errors import InvalidInput, ServiceError, StaleEdit
from infrastructure.status import node_status
from infrastructure.views.actions import node_actions
from infrastructure.views.answers import put_error, refusal_answer, run
from infrastructure.views.finding import find_node
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
    node = find_node(request, pk)
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
    """GET: the dialog. POST: room, row and rack.

    422 with the dialog when one cannot be accepted, 409 when another admin changed it meanwhile.
    """
    node = find_node(request, pk)
    if request.method != "POST":
        form = LocationForm(initial={"room": node.room, "row": node.row, "rack": node.rack})
        return _dialog(request, "infrastructure/node_location.html", node, form=form)
    form = LocationForm(request.POST)
    status = 422
    if form.is_valid():
        seen = request.POST.get("seen")
        try:
            nodes.set_location(user=user_of(request), node=node, request=request, seen=seen, **form.cleaned_data)
        except InvalidInput as error:
            put_error(form, error)
        except StaleEdit as error:
            put_error(form, error)
            node.refresh_from_db()
            status = 409
        except ServiceError as refusal:
            return refusal_answer(request, refusal, _page(node))
        else:
            return done(request, f"The location of {node} is saved.", _page(node), {"nodes": [node.pk]})
    form.mark_errors()
    return _dialog(request, "infrastructure/node_location.html", node, status, form=form)


@requires("node.operate")
@require_http_methods(["GET", "HEAD", "POST"])
def node_services(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog that says what is restarted and what runs on. POST: start it."""
    node = find_node(request, pk)
    if request.method != "POST":
        return _dialog(request, "infrastructure/node_services.html", node)
    user = user_of(request)
    return run(request, lambda: node_work.restart_services(user=user, node=node, request=request), _page(node))


@requires("node.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_certificates(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog with the certificate in use. POST: start issuing a new one."""
    node = find_node(request, pk)
    if request.method != "POST":
        return _dialog(request, "infrastructure/node_certificates.html", node)
    user = user_of(request)
    return run(request, lambda: node_work.reissue_certificates(user=user, node=node, request=request), _page(node))


@requires("node.manage")
@require_POST
def node_onboard(request: HttpRequest, pk: int) -> HttpResponse:
    """Set the node up again."""
    node = find_node(request, pk)
    return run(request, lambda: nodes.onboard(user=user_of(request), node=node, request=request), _page(node))


@requires("node.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog that names the effect. POST: start removing the node."""
    node = find_node(request, pk)
    if request.method != "POST":
        return _dialog(request, "infrastructure/node_remove.html", node)
    return run(request, lambda: nodes.remove(user=user_of(request), node=node, request=request), _page(node))
