"""The dialog that makes a device a disk: it opens from the database, and its node is asked for devices then."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.drivers.errors import DriverError
from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.views.actions import NO_ROLE, Action
from infrastructure.views.answers import put_error, refusal_answer, task_started
from panel.accounts.permissions import can, requires
from panel.accounts.scopes import visible
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from storage.forms import AddDiskForm
from storage.overview import tiers
from storage.services import disks, new_disk
from storage.views.look import Look, look_at_cluster, page_context
from tasks.errors import TaskConflict

PAGE = "storage:disks"


def add_disk_action(request: HttpRequest) -> Action:
    """The first button of Nodes and disks."""
    refused = "" if can(user_of(request), disks.PERMISSION) else NO_ROLE
    return Action("disk", "Add disk…", "plus", reverse("storage:disk_add"), "dialog", refused)


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def disk_add(request: HttpRequest) -> HttpResponse:
    """GET: the dialog. POST: start adding the disk; 422 with the dialog when something cannot be accepted."""
    look = look_at_cluster(request)
    if look is None:
        return redirect(PAGE)
    nodes = list(_nodes(request))
    if request.method != "POST":
        first = nodes[0].pk if nodes else None
        return _dialog(request, look, AddDiskForm(nodes=nodes, initial={"node": first, "tier": 1}))
    form = AddDiskForm(request.POST, nodes=nodes)
    if form.is_valid():
        entered = form.cleaned_data
        node = next(each for each in nodes if each.pk == entered["node"])
        try:
            task = new_disk.add(
                user=user_of(request),
                cluster=look.cluster,
                node=node,
                path=entered["path"],
                tier=entered["tier"],
                request=request,
            )
            return task_started(request, task)
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse(PAGE))
    form.mark_errors()
    return _dialog(request, look, form, 422)


@requires("storage.manage")
@require_safe
def disk_devices(request: HttpRequest) -> HttpResponse:
    """The devices of a node, asked now: those that can be used, and the others with the reason."""
    number = request.GET.get("node", "")
    fits = number.isascii() and number.isdigit() and len(number) < 19
    node = get_object_or_404(_nodes(request), pk=int(number) if fits else 0)
    context: dict[str, Any] = {"node": node, "entered": request.GET.get("path", "")}
    try:
        context["devices"] = found = new_disk.offered(node)
        context["none_fits"] = bool(found) and all(device.reason for device in found)
    except (DriverError, ServiceError) as error:
        context["failure"] = str(error)
    return render(request, "storage/disk_add.html#devices", context)


def _nodes(request: HttpRequest) -> Any:
    """The nodes whose devices can be asked for."""
    ready = Node.objects.filter(onboarded_at__isnull=False).order_by("name")
    return visible(request.user, "infrastructure.view", ready)


def _dialog(request: HttpRequest, look: Look, form: AddDiskForm, status: int = 200) -> HttpResponse:
    context = page_context(request, "Add a disk", look) | {
        "form": form,
        "choices": [row for row in tiers(look.facts) if row.tier is not None] if look.facts else [],
        "chosen": str(form["tier"].value()),
        "entered": form["path"].value() or "",
        "reason": "" if look.current else f"{look.cluster.name} does not answer",
    }
    return render_page(request, "storage/disk_add.html", context, fallback="dialog", status=status)
