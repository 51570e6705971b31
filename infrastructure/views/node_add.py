"""Adding a node in two steps: where it is; then its host key to compare and our public key to install."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from infrastructure.forms import NodeAddForm, NodeConfirmForm
from infrastructure.services import nodes
from infrastructure.services.errors import ServiceError
from infrastructure.views.answers import put_error
from panel.accounts.permissions import requires
from panel.ui.htmx import go_to, render_page
from panel.ui.signed_in import user_of

TEMPLATE = "infrastructure/node_add.html"


@requires("node.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_add(request: HttpRequest) -> HttpResponse:
    """GET: the form. POST step=look: ask the address for its host key. POST step=add: add the node, show its task."""
    if request.method != "POST":
        return _first(request, NodeAddForm())
    if request.POST.get("step") == "add":
        return _add(request)
    form = NodeAddForm(request.POST)
    if not form.is_valid():
        return _first(request, form, 422)
    values = form.cleaned_data
    try:
        shown = nodes.look(name=values["name"], address=values["address"], ssh_port=values["ssh_port"])
    except ServiceError as error:
        put_error(form, error)
        return _first(request, form, 422)
    return _second(request, NodeConfirmForm(initial={**values, "fingerprint": shown.fingerprint}))


def _add(request: HttpRequest) -> HttpResponse:
    form = NodeConfirmForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            _node, task = nodes.add(
                user=user_of(request),
                name=values["name"],
                address=values["address"],
                ssh_port=values["ssh_port"],
                fingerprint=values["fingerprint"],
                request=request,
            )
        except ServiceError as error:
            put_error(form, error)
        else:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    # What was entered in step 1 is at fault: back to it, with everything kept.
    if {"name", "address", "ssh_port"} & set(form.errors):
        first = NodeAddForm(request.POST)
        first.is_valid()
        for name in ("name", "address", "ssh_port"):
            for text in form.errors.get(name, []):
                if text not in first.errors.get(name, []):
                    first.add_error(name, text)
        return _first(request, first, 422)
    return _second(request, form, 422)


def _first(request: HttpRequest, form: NodeAddForm, status: int = 200) -> HttpResponse:
    return _show(request, form, "first", {}, status)


def _second(request: HttpRequest, form: NodeConfirmForm, status: int = 200) -> HttpResponse:
    fingerprint = form["fingerprint"].value() or ""
    return _show(request, form, "second", {"fingerprint": fingerprint, "public_key": nodes.panel_public_key()}, status)


def _show(request: HttpRequest, form: NodeAddForm, step: str, more: dict[str, Any], status: int) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    context = {"tree_selected": "root", "form": form, "step": step, **more}
    return render_page(request, TEMPLATE, context, regions=("node-add",), status=status)
