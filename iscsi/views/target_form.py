"""Adding a target and editing one: the same form, of which name and node can be said once."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError
from infrastructure.views.answers import put_error
from iscsi.choices import RoleState
from iscsi.forms import EditForm, SettingsForm, TargetForm
from iscsi.models import Target
from iscsi.services import portals, roles, targets
from iscsi.services.inputs import clean_target_name, iqn_of
from iscsi.views.dialogs import posted
from iscsi.views.look import page_context
from iscsi.views.targets import find_target
from panel.accounts.permissions import requires
from panel.ui.htmx import go_to, render_page
from panel.ui.signed_in import user_of
from tasks.errors import TaskConflict

TEMPLATE = "iscsi/target_form.html"
_ADD_NOTE = "The target starts with its task, without LUNs; they are added on its page."
_EDIT_NOTE = (
    "Limits count at once; users for new logins. When somebody is connected who may not log in any more, all "
    "initiators are disconnected, and those that may log in again. Other portal IPs start its server anew: all "
    "initiators log in again."
)


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def target_add(request: HttpRequest) -> HttpResponse:
    """GET: the form, or what changes in it with the node. POST: create it, then its task's page."""
    nodes = [role.node for role in roles.nodes() if role.state == RoleState.READY]
    data = request.POST if request.method == "POST" else request.GET
    node = next((node for node in nodes if str(node.pk) == data.get("node")), nodes[0] if nodes else None)
    offer, unknown = _offer(node)
    form = TargetForm(posted(request), nodes=nodes, initial={"node": node.pk if node else None}, **offer)
    if form.is_valid() and node is not None:
        task = _try(
            form,
            lambda: targets.create(
                user=user_of(request),
                name=form.cleaned_data["name"],
                node=node,
                request=request,
                **form.settings(),
            )[1],
        )
        if task is not None:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    more = {"iqn": _iqn(data.get("name", "")), "nodes": nodes, "note": _ADD_NOTE, "unknown": unknown}
    url = reverse("iscsi:target_add")
    return _show(request, form, "Add target", url, reverse("iscsi:targets"), **more)


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def target_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the form as the target is. POST: start changing it; 422 when somebody else changed it meanwhile."""
    target = find_target(pk)
    offer, unknown = _offer(target.node, target)
    form = EditForm(posted(request), initial=_initial(target), **offer)
    if form.is_valid():
        task = _try(
            form,
            lambda: targets.edit(
                user=user_of(request),
                target=target,
                seen=form.cleaned_data["seen"],
                request=request,
                **form.settings(),
            ),
        )
        if task is not None:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    more = {"iqn": target.iqn, "nodes": [target.node], "note": _EDIT_NOTE, "unknown": unknown, "target": target}
    back = reverse("iscsi:target", args=[pk])
    return _show(request, form, f"Edit {target}", reverse("iscsi:target_edit", args=[pk]), back, **more)


def _try(form: SettingsForm, call: Any) -> Any:
    """The task, or None with the refusal in the form."""
    try:
        return call()
    except ServiceError as error:
        put_error(form, error)
    except TaskConflict as conflict:
        form.add_error(None, str(conflict))
    return None


def _show(request: HttpRequest, form: SettingsForm, title: str, url: str, back: str, **more: Any) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    context = page_context(request, title) | {"form": form, "url": url, "back": back} | more
    regions = ("target-form", "target-iqn", "target-portals")
    return render_page(request, TEMPLATE, context, regions=regions, status=422 if form.is_bound else 200)


def _offer(node: Node | None, target: Target | None = None) -> tuple[dict[str, Sequence[tuple[str, str]]], str]:
    """The choices that the node gives, and why there are none."""
    if node is None:
        return {"addresses": [], "interfaces": []}, ""
    own = {each.address: f"{each.address} ({each.interface}, of this target)" for each in _portals(target)}
    try:
        free = {each.address: f"{each.address} ({each.interface})" for each in portals.free_addresses(node, target)}
        known = [(name, _named(name, networks)) for name, networks in portals.interfaces(node)]
    except NotPossible as error:
        return {"addresses": list(own.items()), "interfaces": []}, str(error)
    return {"addresses": list((free | own).items()), "interfaces": known}, ""


def _portals(target: Target | None) -> Any:
    return target.portals.all() if target is not None else ()


def _named(name: str, networks: Sequence[str]) -> str:
    return f"{name} ({', '.join(networks)})" if networks else name


def _initial(target: Target) -> dict[str, Any]:
    return {
        "portals": [portal.address for portal in target.portals.all()],
        "chap": target.chap_user_id,
        "mutual": target.mutual_user_id,
        "initiators": "\n".join(target.initiators),
        "iops": target.limit_iops,
        "bandwidth": target.limit_mbps,
        "sharing": target.sharing,
        "seen": targets.fingerprint(target),
    }


def _iqn(name: str) -> str:
    """The IQN of what is entered so far."""
    try:
        return iqn_of(clean_target_name(name))
    except InvalidInput:
        return f"{settings.ISCSI_IQN_PREFIX}:…"
