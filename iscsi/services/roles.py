"""The role iSCSI of nodes: those on which targets may live."""

from django.db import transaction
from django.http import HttpRequest

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.errors import NotPossible
from iscsi.choices import RoleState
from iscsi.models import IscsiNode, IscsiRevision
from iscsi.services import announcing, leftovers
from iscsi.services.access import only_cluster, require_user
from iscsi.services.held_nodes import holding
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Target as About
from tasks.services import enqueue

PERMISSION = "iscsi.manage"
ASSIGN, WITHDRAW = "iscsi.role.assign", "iscsi.role.withdraw"


def assign(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Start giving a node the role: what target servers need is put there. May be asked again, to mend it.

    Raises PermissionDenied, NotPossible, TaskConflict.
    """
    _authorize(user, ASSIGN, node, request)
    if node.onboarded_at is None:
        raise NotPossible(f"{node} is not set up yet", advice="Wait for the end of its task, or set it up again.")
    require_user(only_cluster())
    with transaction.atomic():
        row, _ = IscsiNode.objects.get_or_create(node=node)
        if row.state != RoleState.READY:
            _save(row, RoleState.PREPARING, "")
        return _enqueue(ASSIGN, user, node, request)


def withdraw(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Start taking the role away. Raises PermissionDenied, NotPossible while targets are there, TaskConflict."""
    _authorize(user, WITHDRAW, node, request)
    refuse_used(node)
    if leftovers.numbers(node):
        raise NotPossible(
            f"{node} still has what a target left there", advice="It is removed as soon as the node answers."
        )
    return _enqueue(WITHDRAW, user, node, request)


def nodes() -> list[IscsiNode]:
    """The nodes with the role, by name."""
    return list(IscsiNode.objects.select_related("node").order_by("node__name"))


def require(node: Node) -> None:
    """NotPossible (field "node") unless targets can be put on the node now."""
    row = IscsiNode.objects.filter(node=node).first()
    if row is None or row.state != RoleState.READY:
        raise NotPossible(
            f"{node} does not have the role iSCSI" if row is None else f"{node} is not ready for targets: {row.reason}",
            advice="Give it the role under iSCSI, Nodes, and wait for the end of that task.",
            field="node",
        )
    require_answering(node)


def require_answering(node: Node) -> None:
    """NotPossible (field "node") while the node does not answer."""
    if node.state != NodeState.ONLINE:
        raise NotPossible(f"{node} does not answer", advice="Try again when it does.", field="node")


def refuse_used(node: Node) -> None:
    """NotPossible while targets live on the node."""
    if words := holding(node):
        raise NotPossible(words, advice="Move them to another node or delete them first, under iSCSI.")


def record_state(node: Node, state: str, reason: str = "") -> None:
    """Write how far the role is."""
    row = IscsiNode.objects.filter(node=node).first()
    if row is not None:
        _save(row, state, reason)


def forget(node: Node) -> None:
    """The node has the role no more."""
    with transaction.atomic():
        if IscsiNode.objects.filter(node=node).delete()[0]:
            IscsiRevision.bump()
            announcing.announce()


def _save(row: IscsiNode, state: str, reason: str) -> None:
    announcing.save(row, state=state, reason=reason)


def _authorize(user: User | None, action: str, node: Node, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission=PERMISSION, action=action, obj=node, request=request)


def _enqueue(kind: str, user: User | None, node: Node, request: HttpRequest | None) -> Task:
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"node_id": node.pk},
        title_args={"node": node.name},
        targets=[About("node", node.pk, node.name)],
        place=node.name,
        permission_object=node,
    )
