"""The dialogs about a target. Each says what its initiators will notice."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from iscsi.choices import RoleState
from iscsi.forms import DeleteForm, MoveForm
from iscsi.models import Target
from iscsi.services import roles, targets
from iscsi.status import initiators_of, target_status
from iscsi.views.dialogs import Dialog, Nothing, answer, posted
from iscsi.views.targets import find_target
from panel.accounts.permissions import requires
from panel.ui.signed_in import user_of
from tasks.models import Task


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def target_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: stop its server."""
    target = find_target(pk)
    dialog = Dialog(
        title=f"Stop {target}",
        icon="player-stop",
        button=f"Stop {target}",
        back=_page(target),
        fact="Initiators lose all its LUNs at once.",
        follows="What they have not written yet fails or waits, as each is set up. The data stays; the target can be "
        "started again.",
        warning=connected(target),
    )
    return answer(
        request,
        dialog,
        Nothing(posted(request)),
        lambda _entered: targets.stop(user=user_of(request), target=target, request=request),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def target_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog, in which its name is typed. POST: delete it; its LUNs are detached."""
    target = find_target(pk)
    count = target.luns.count()
    dialog = Dialog(
        title=f"Delete {target}",
        icon="trash",
        button=f"Delete {target}",
        back=_page(target),
        fact="Initiators are disconnected, and the target and the addresses that Mooring added are removed.",
        follows=f"LUNs that are detached, and keep their data and snapshots: {count}." if count else "It has no LUNs.",
        warning=_silence(target) or connected(target),
        typed=target.name,
        danger=True,
        leaves=True,
    )
    return answer(
        request,
        dialog,
        DeleteForm(posted(request), silent=_silent(target)),
        lambda entered: targets.delete(
            user=user_of(request),
            target=target,
            confirmation=entered["confirmation"],
            without_node=entered.get("without_node", False),
            request=request,
        ),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def target_move(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: move it with its addresses to the chosen node."""
    target = find_target(pk)
    nodes = [role.node for role in roles.nodes() if role.state == RoleState.READY and role.pk != target.node_id]
    dialog = Dialog(
        title=f"Move {target}",
        icon="arrows-exchange",
        button=f"Move {target}",
        back=_page(target),
        fact="Initiators are without its LUNs for some seconds, and log in again by themselves at the same addresses.",
        follows=f"Its server {'is shut out of the data' if _silent(target) else 'ends'} on {target.node} before it "
        "starts on the other node. The data does not move.",
        warning=(_silence(target) or connected(target)) if nodes else "No other node has the role iSCSI.",
    )

    def call(entered: dict[str, Any]) -> Task:
        node = next(node for node in nodes if str(node.pk) == entered["node"])
        name = entered["interface"]
        return targets.move(
            user=user_of(request),
            target=target,
            node=node,
            chosen={portal.address: name for portal in target.portals.all()} if name else None,
            without_node=entered.get("without_node", False),
            request=request,
        )

    return answer(request, dialog, MoveForm(posted(request), nodes=nodes, silent=_silent(target)), call)


def _silent(target: Target) -> str:
    """The name of its node while that does not answer, else ""."""
    return target.node.name if targets.is_silent(target) else ""


def _silence(target: Target) -> str:
    """What to see to before this goes on without the target's node."""
    name = _silent(target)
    return name and (
        f"{name} does not answer. Should it still be on the network of the initiators, two machines would have the "
        "target's addresses: switch it off first."
    )


def connected(target: Target) -> str:
    """Who will notice: "2 initiators are connected now: …"; "" when nobody is."""
    if not target_status(target).current:
        return "Who is connected is not known now." if target.started else ""
    names = [name for name, _ in initiators_of(target)]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{'1 initiator is' if len(names) == 1 else f'{len(names)} initiators are'} connected now: {shown}."


def _page(target: Target) -> str:
    return reverse("iscsi:target", args=[target.pk])
