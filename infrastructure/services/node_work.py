"""What is done to a node as a whole: restarting its services, giving it a new certificate.

While such a task is open no other touches the node or a VE on it: see `shares` of the jobs that move or switch VEs.
"""

import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.endpoints import require_set_up
from panel.accounts.models import User
from panel.trust.ca import RENEW_BEFORE
from tasks.errors import TaskConflict
from tasks.models import Task, TaskTarget
from tasks.services import Target, enqueue

RESTART = "node.restart_services"
REISSUE = "node.reissue_certificates"
RENEWAL_PAUSE = timedelta(days=1)


def restart_services(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Start restarting libvirt's daemons; the VEs run on. Raises PermissionDenied, TaskConflict, NotPossible."""
    _require(user, "node.operate", RESTART, node, request)
    return _enqueue(RESTART, user, node, request)


def reissue_certificates(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Start giving the node a new key and certificate. Raises PermissionDenied, TaskConflict, NotPossible."""
    _require(user, "node.manage", REISSUE, node, request)
    return _enqueue(REISSUE, user, node, request)


def renew_due(*, among: Callable[[int], bool] = lambda node_id: True) -> list[Task]:
    """Have Mooring itself renew the certificates of the nodes where they end soon, each at most once a day."""
    now = timezone.now()
    due = Node.objects.filter(state=NodeState.ONLINE, certificate_expires_at__lt=now + RENEW_BEFORE)
    tried = TaskTarget.objects.filter(
        object_type="node", task__kind=REISSUE, task__created_at__gt=now - RENEWAL_PAUSE
    ).values("object_id")
    tasks = []
    for node in due.exclude(pk__in=tried):
        if among(node.pk):
            with suppress(TaskConflict):  # something is done to the node or a VE on it: a later look finds it again
                tasks.append(_enqueue(REISSUE, None, node, None))
    return tasks


def fingerprint(host_key: str) -> str:
    """The SHA-256 fingerprint of a pinned host key line as ssh-keygen prints it; "" without a key."""
    parts = host_key.split()
    if len(parts) < 2:
        return ""
    digest = hashlib.sha256(base64.b64decode(parts[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _require(user: User | None, permission: str, action: str, node: Node, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission=permission, action=action, obj=node, request=request)
    require_set_up(node)


def _enqueue(kind: str, user: User | None, node: Node, request: HttpRequest | None) -> Task:
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"node_id": node.pk},
        title_args={"node": node.name},
        targets=[Target("node", node.pk, node.name)],
        place=node.name,
        permission_object=node,
    )
