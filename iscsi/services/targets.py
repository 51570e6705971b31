"""Targets: creating, editing, starting, stopping, moving and deleting them. Each starts the task that does it."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible, StaleEdit
from iscsi.choices import ServerState, Stage
from iscsi.drivers.facts import NUMBERS
from iscsi.models import ChapUser, Target
from iscsi.services import announcing, leftovers, portals, roles
from iscsi.services.access import only_cluster, require_user
from iscsi.services.inputs import clean_target_name, iqn_of
from iscsi.services.portals import Wish
from iscsi.services.target_input import Limits, clean_settings, give, settings_of
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Target as About
from tasks.services import enqueue

PERMISSION = "iscsi.manage"
CREATE, EDIT, MOVE, DELETE = "iscsi.target.create", "iscsi.target.edit", "iscsi.target.move", "iscsi.target.delete"
START, STOP = "iscsi.target.start", "iscsi.target.stop"
NO_LIMITS = Limits()


def create(
    *,
    user: User | None,
    name: str,
    node: Node,
    wishes: Sequence[Wish],
    chap_user: ChapUser | None = None,
    mutual_user: ChapUser | None = None,
    initiators: Sequence[str] = (),
    limits: Limits = NO_LIMITS,
    request: HttpRequest | None = None,
) -> tuple[Target, Task]:
    """Start creating a target and its server; its name, number and addresses are taken at once.

    Raises PermissionDenied; InvalidInput with the field (name, node, portals, address, interface, mutual, initiators,
    iops, bandwidth, sharing); NotPossible without a storage cluster that LUNs could be on, or for a node without the
    role iSCSI.
    """
    _authorize(user, CREATE, None, request)
    name = clean_target_name(name)
    require_user(only_cluster())
    roles.require(node)
    wanted = clean_settings(
        node=node, wishes=wishes, chap_user=chap_user, mutual_user=mutual_user, initiators=initiators, limits=limits
    )
    iqn = iqn_of(name)
    _refuse_taken(name, iqn)
    try:
        with transaction.atomic():
            Node.objects.select_for_update().get(pk=node.pk)  # so that two that come at once get two numbers
            target = Target(name=name, iqn=iqn, node=node, number=free_number(node))
            give(target, wanted)
            announcing.save(target)
            portals.set_portals(target, wanted["portals"])
            return target, _enqueue(CREATE, user, target, request)
    except IntegrityError:  # somebody took the name or an address between the look and the insert
        _refuse_taken(name, iqn)
        portals.resolve(node, wishes)
        raise


def edit(
    *,
    user: User | None,
    target: Target,
    wishes: Sequence[Wish],
    chap_user: ChapUser | None,
    mutual_user: ChapUser | None = None,
    initiators: Sequence[str] = (),
    limits: Limits = NO_LIMITS,
    seen: str | None = None,
    request: HttpRequest | None = None,
) -> Task:
    """Start giving a target other settings. `seen`: `fingerprint` of what the user was shown.

    Raises PermissionDenied, InvalidInput, NotPossible, StaleEdit when somebody changed what was seen, TaskConflict.
    """
    _authorize(user, EDIT, target, request)
    _require_ready(target)
    if seen is not None and seen != fingerprint(target):
        raise StaleEdit(
            f"Somebody changed {target} after this dialog was opened",
            advice="Open it again to see how it is now.",
        )
    wanted = clean_settings(
        node=target.node,
        wishes=wishes,
        chap_user=chap_user,
        mutual_user=mutual_user,
        initiators=initiators,
        limits=limits,
        target=target,
    )
    return _enqueue(EDIT, user, target, request, {"wanted": dict(wanted), "before": dict(settings_of(target))})


def start(*, user: User | None, target: Target, request: HttpRequest | None = None) -> Task:
    """Start its server. Raises PermissionDenied, NotPossible, TaskConflict."""
    return _switch(START, user, target, request)


def stop(*, user: User | None, target: Target, request: HttpRequest | None = None) -> Task:
    """Stop its server: initiators lose their LUNs at once. Raises PermissionDenied, NotPossible, TaskConflict."""
    return _switch(STOP, user, target, request)


def move(
    *,
    user: User | None,
    target: Target,
    node: Node,
    chosen: Mapping[str, str] | None = None,
    without_node: bool = False,
    request: HttpRequest | None = None,
) -> Task:
    """Start moving a target with its addresses to another node; initiators are without it for seconds.

    chosen: address → interface there, where it is not the one of the same network. without_node: go on though its
    node does not answer; what may still run there is shut out of the images. Raises PermissionDenied, InvalidInput
    (fields "node", "without_node"), NotPossible, TaskConflict.
    """
    _authorize(user, MOVE, target, request)
    _require_ready(target)
    if node.pk == target.node_id:
        raise InvalidInput(f"{target} is on {node} already", advice="Choose another node.", field="node")
    roles.require(node)
    _require_consent(target, without_node)
    places = portals.moved(target, node, dict(chosen or {}))
    params = {
        "source_id": target.node_id,
        "node_id": node.pk,
        "places": [dict(place) for place in places],
        "before": [dict(place) for place in portals.places_of(target)],
        "without_node": without_node,
    }
    return _enqueue(MOVE, user, target, request, params, node=node)


def delete(
    *,
    user: User | None,
    target: Target,
    confirmation: str,
    without_node: bool = False,
    request: HttpRequest | None = None,
) -> Task:
    """Start deleting a target; its LUNs are detached and keep their data. `confirmation` is its name, typed.

    without_node: as for `move`. Raises PermissionDenied, InvalidInput (fields "confirmation", "without_node"),
    TaskConflict.
    """
    _authorize(user, DELETE, target, request)
    if confirmation.strip() != target.name:
        raise InvalidInput(f"Type {target.name} to confirm", field="confirmation")
    _require_consent(target, without_node)
    return _enqueue(DELETE, user, target, request, {"without_node": without_node})


def is_silent(target: Target) -> bool:
    """Whether its node does not answer, or only its SSH, by which its server is told."""
    return target.node.state != NodeState.ONLINE or target.state == ServerState.UNREACHABLE


def fingerprint(target: Target) -> str:
    """What stands for all that can be edited: another one says that somebody changed something."""
    told = json.dumps(settings_of(target), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def free_number(node: Node, target: Target | None = None) -> int:
    """The lowest number that no server on the node has; `target` keeps the one it has there.

    Call it while the node's row is locked.
    """
    there = dict(Target.objects.filter(node=node).values_list("pk", "number"))
    own = there.pop(target.pk, None) if target is not None else None
    taken = {*there.values(), *leftovers.numbers(node)}
    if own is not None and own not in taken:
        return own
    return next(number for number in NUMBERS if number not in taken)


def _switch(kind: str, user: User | None, target: Target, request: HttpRequest | None) -> Task:
    _authorize(user, kind, target, request)
    _require_ready(target)
    return _enqueue(kind, user, target, request)


def _require_consent(target: Target, without_node: bool) -> None:
    """InvalidInput (field "without_node") while its node does not answer and nobody said to go on without it."""
    if is_silent(target) and not without_node:
        raise InvalidInput(
            f"{target.node} does not answer",
            advice="Wait until it does, or say that this goes on without it.",
            field="without_node",
        )


def _require_ready(target: Target) -> None:
    if target.stage != Stage.READY:
        raise NotPossible(
            f"{target} is {target.get_stage_display().lower()}",
            advice="Wait for the end of its task, or delete it.",
        )


def _refuse_taken(name: str, iqn: str) -> None:
    if Target.objects.filter(name=name).exists():
        raise InvalidInput(f"There is a target named {name} already", advice="Choose another name.", field="name")
    if Target.objects.filter(iqn=iqn).exists():
        raise InvalidInput(f"There is a target {iqn} already", advice="Choose another name.", field="name")


def _authorize(user: User | None, action: str, target: Target | None, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission=PERMISSION, action=action, obj=target, request=request)


def _enqueue(
    kind: str,
    user: User | None,
    target: Target,
    request: HttpRequest | None,
    params: Mapping[str, object] | None = None,
    node: Node | None = None,
) -> Task:
    about = [About("target", target.pk, target.name)]
    if node is None:
        about.append(About("node", target.node_id, target.node.name))
    else:
        about += [
            About("node", target.node_id, target.node.name, "Source"),
            About("node", node.pk, node.name, "Target"),
        ]
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"target_id": target.pk, **(params or {})},
        title_args={"target": target.name, "node": (node or target.node).name},
        targets=about,
        place=f"{target.node} → {node}" if node else target.node.name,
        permission_object=target,
        facts={"IQN": target.iqn},
    )
