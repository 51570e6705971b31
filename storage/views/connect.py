"""Connecting the cluster, connecting it again, and letting it go."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.services.errors import NotPossible, ServiceError
from infrastructure.views.answers import put_error, run
from panel.accounts.permissions import requires
from panel.accounts.scopes import visible
from panel.ui.htmx import go_to, render_page
from panel.ui.signed_in import user_of
from storage.forms import ConnectForm, ThroughForm
from storage.models import Cluster
from storage.services import clusters
from storage.views.look import Look, look_at_cluster, page_context
from tasks.errors import TaskConflict

OVERVIEW = "storage:overview"


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """GET: the form. POST: name and node; then the task's page. 422 with the form when something is wrong."""
    nodes = list(_nodes(request))
    if request.method != "POST":
        return _form(request, ConnectForm(nodes=nodes))
    form = ConnectForm(request.POST, nodes=nodes)
    if form.is_valid():
        try:
            _cluster, task = clusters.connect(
                user=user_of(request),
                name=form.cleaned_data["name"],
                through=form.chosen(nodes),
                request=request,
            )
        except ServiceError as error:
            put_error(form, error)
        except TaskConflict as conflict:
            form.add_error(None, str(conflict))
        else:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    return _form(request, form, 422)


def _nodes(request: HttpRequest) -> Any:
    """The nodes it can be connected through: those that are set up and answer."""
    ready = Node.objects.filter(state=NodeState.ONLINE).order_by("name")
    return visible(request.user, "infrastructure.view", ready)


def _form(request: HttpRequest, form: ConnectForm, status: int = 200) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    look = look_at_cluster(request)
    context = page_context(request, "Connect a cluster", look) | {"form": form}
    return render_page(request, "storage/connect.html", context, regions=("storage-connect",), status=status)


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def reconnect(request: HttpRequest) -> HttpResponse:
    """GET: the dialog that says what is done, and asks through which node. POST: start it."""
    look = look_at_cluster(request)
    if look is None:
        return redirect("storage:connect")
    user, cluster, nodes = user_of(request), look.cluster, list(_nodes(request))
    if request.method != "POST":
        form = ThroughForm(nodes=nodes, initial={"through": cluster.through_id})
        return _dialog(request, "storage/reconnect.html", look, form=form)
    form = ThroughForm(request.POST, nodes=nodes)
    if not form.is_valid():
        form.mark_errors()
        return _dialog(request, "storage/reconnect.html", look, 422, form=form)
    through = form.chosen(nodes)
    return run(
        request,
        lambda: clusters.reconnect(user=user, cluster=cluster, through=through, request=request),
        reverse(OVERVIEW),
    )


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def disconnect(request: HttpRequest) -> HttpResponse:
    """GET: the dialog that names the effect. POST: let the cluster go."""
    look = look_at_cluster(request)
    if look is None:
        return redirect(OVERVIEW)
    if request.method != "POST":
        return _dialog(request, "storage/disconnect.html", look, held=_held(look.cluster))
    user, cluster = user_of(request), look.cluster
    return run(request, lambda: clusters.disconnect(user=user, cluster=cluster, request=request), reverse(OVERVIEW))


def _held(cluster: Cluster) -> str:
    """Why the cluster cannot be let go yet, and what to do; empty when it can."""
    try:
        clusters.require_unused(cluster)
    except NotPossible as error:
        return str(error)
    return ""


def _dialog(request: HttpRequest, template: str, look: Look, status: int = 200, **more: Any) -> HttpResponse:
    context = page_context(request, look.cluster.name, look) | more
    return render_page(request, template, context, fallback="dialog", status=status)
