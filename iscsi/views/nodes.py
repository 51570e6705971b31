"""Nodes with the role iSCSI: the list, giving a node the role, and taking it away."""

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.views.answers import run
from iscsi.choices import RoleState
from iscsi.forms import NodeForm
from iscsi.models import IscsiNode
from iscsi.services import leftovers, roles
from iscsi.services.held_nodes import holding
from iscsi.views.dialogs import Dialog, Nothing, answer, posted
from iscsi.views.look import action, page_context, refusal, tabs
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of

LIST = "iscsi:nodes"
_APPEARANCE = {
    RoleState.PREPARING: "progress",
    RoleState.READY: "ok",
    RoleState.FAILED: "crit",
    RoleState.LEAVING: "progress",
}


@requires("iscsi.view")
@require_safe
def node_list(request: HttpRequest) -> HttpResponse:
    """GET /iscsi/nodes/."""
    refused = refusal(request)
    found = IscsiNode.objects.select_related("node").annotate(targets=Count("node__targets"))
    left = leftovers.of_nodes()
    rows = [
        {
            "role": role,
            **_status(role),
            "left": ", ".join(left.get(role.pk, [])),
            "again": action("again", "Prepare again", "refresh", "node_again", role.pk, refused, "post"),
            "withdraw": action("withdraw", "Take away…", "trash", "node_withdraw", role.pk, refused or _used(role)),
        }
        for role in found
    ]
    add = action("add", "Give a node the role", "plus", "node_add", reason=refused)
    context = page_context(request, "Nodes of iSCSI") | {"tabs": tabs(LIST), "add": add, "rows": rows}
    return render_page(request, "iscsi/nodes.html", context, regions=("page-title", "nodes"))


def _status(role: IscsiNode) -> dict[str, str]:
    """Glyph and word; nothing is said to be ready on a node that does not answer."""
    if role.state == RoleState.READY and role.node.state != NodeState.ONLINE:
        return {"glyph": "unreachable", "word": "No contact"}
    return {"glyph": _APPEARANCE[RoleState(role.state)], "word": str(role.get_state_display())}


def _used(role: IscsiNode) -> str:
    return "Targets live on it" if role.targets else ""  # type: ignore[attr-defined]


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_add(request: HttpRequest) -> HttpResponse:
    """GET: the dialog. POST: give the chosen node the role."""
    nodes = list(Node.objects.filter(iscsi=None).exclude(onboarded_at=None).order_by("name"))
    dialog = Dialog(
        title="Give a node the role iSCSI",
        icon="target",
        button="Give the role",
        back=reverse(LIST),
        fact="What target servers need is installed on the node.",
        follows="The service that Debian starts with them is switched off, unless it serves targets of others: then "
        "the node is left as it is, and the task says so.",
        warning="" if nodes else "No node is left that is set up and has no such role.",
    )

    def call(entered: dict[str, str]) -> object:
        node = next(node for node in nodes if str(node.pk) == entered["node"])
        return roles.assign(user=user_of(request), node=node, request=request)

    return answer(request, dialog, NodeForm(posted(request), nodes=nodes), call)  # type: ignore[arg-type]


@requires("iscsi.manage")
@require_POST
def node_again(request: HttpRequest, pk: int) -> HttpResponse:
    """POST: prepare a node that has the role once more, to mend it."""
    node = _find(pk).node
    return run(request, lambda: roles.assign(user=user_of(request), node=node, request=request), reverse(LIST))


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def node_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: take the role away."""
    node = _find(pk).node
    dialog = Dialog(
        title=f"Take the role iSCSI from {node}",
        icon="trash",
        button="Take the role away",
        back=reverse(LIST),
        fact=f"What Mooring put on {node} for target servers is removed, the key of the storage too.",
        follows="Programs that were installed stay.",
        warning=f"{held}: move them or delete them first." if (held := holding(node)) else "",
        danger=True,
    )
    return answer(
        request,
        dialog,
        Nothing(posted(request)),
        lambda _entered: roles.withdraw(user=user_of(request), node=node, request=request),
    )


def _find(pk: int) -> IscsiNode:
    return get_object_or_404(IscsiNode.objects.select_related("node"), pk=pk)
