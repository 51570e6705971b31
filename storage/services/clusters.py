"""Connecting the storage cluster, connecting it again, and letting it go."""

import re

from django.db import transaction
from django.http import HttpRequest

from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.endpoints import require_set_up
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from storage.choices import Use
from storage.models import Cluster, StorageRevision
from storage.services import observed
from tasks.models import Task
from tasks.services import Target, enqueue

CONNECT = "storage.connect"
DISCONNECT = "storage.disconnect"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def clean_name(name: str) -> str:
    """A cluster's name, such as "storage1". InvalidInput otherwise."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a cluster's name",
            advice="Use 1 to 63 small letters, digits and hyphens, with a letter or digit at both ends.",
            field="name",
        )
    return name


def connect(*, user: User | None, name: str, through: Node, request: HttpRequest | None = None) -> tuple[Cluster, Task]:
    """Start connecting a cluster through a node that has the key of Ceph's administrator.

    One cluster is known for now: a second one is refused; one that was never connected gets this name and node.
    Raises PermissionDenied, InvalidInput, NotPossible, TaskConflict.
    """
    _authorize(user, CONNECT, None, request)
    name = clean_name(name)
    require_set_up(through)
    with transaction.atomic():
        cluster = Cluster.objects.select_for_update().first()
        if cluster is not None and cluster.connected_at is not None:
            raise InvalidInput(
                f"Mooring is connected to the cluster {cluster} already",
                advice="Use Connect again if its monitors or its key changed, or disconnect it first.",
            )
        if cluster is None:
            cluster = Cluster(name=name)
        cluster.name, cluster.through, cluster.state_reason = name, through, ""
        cluster.rev = StorageRevision.bump()
        cluster.save()
        task = _enqueue_connecting(user, cluster, through, request)
        observed.announce()
    return cluster, task


def reconnect(
    *, user: User | None, cluster: Cluster, through: Node | None = None, request: HttpRequest | None = None
) -> Task:
    """Connect a known cluster again: its monitors moved, or its key changed. By default through the same node.

    Raises PermissionDenied, NotPossible, TaskConflict.
    """
    _authorize(user, CONNECT, cluster, request)
    node = through or cluster.through
    if node is None:
        raise NotPossible(
            f"The node through which {cluster} was connected was removed",
            advice="Disconnect it, then connect it through another node.",
        )
    require_set_up(node)
    return _enqueue_connecting(user, cluster, node, request)


def disconnect(*, user: User | None, cluster: Cluster, request: HttpRequest | None = None) -> Task:
    """Start letting go of a cluster: Mooring forgets it, nothing in it is touched but Mooring's own users.

    Raises PermissionDenied, NotPossible while it has datastores, TaskConflict.
    """
    _authorize(user, DISCONNECT, cluster, request)
    require_unused(cluster)
    return enqueue(
        DISCONNECT,
        user=user,
        request=request,
        params={"cluster_id": cluster.pk},
        title_args={"cluster": cluster.name},
        targets=[_target(cluster)],
        place=cluster.name,
        permission_object=cluster,
    )


def require_unused(cluster: Cluster) -> None:
    """NotPossible while the cluster has datastores, or LUNs."""
    names = list(cluster.datastores.exclude(use=Use.LUN).values_list("name", flat=True)[:4])
    if not names and cluster.datastores.exists():
        raise NotPossible(f"{cluster} holds LUNs", advice="Delete them first, under iSCSI.")
    if names:
        shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
        raise NotPossible(f"{cluster} holds datastores: {shown}", advice="Delete or move them first.")


def _authorize(user: User | None, action: str, cluster: Cluster | None, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission="storage.manage", action=action, obj=cluster, request=request)


def _enqueue_connecting(user: User | None, cluster: Cluster, node: Node, request: HttpRequest | None) -> Task:
    return enqueue(
        CONNECT,
        user=user,
        request=request,
        params={"cluster_id": cluster.pk, "node_id": node.pk},
        title_args={"cluster": cluster.name},
        targets=[_target(cluster), Target("node", node.pk, node.name, "Through")],
        place=cluster.name,
        permission_object=cluster,
    )


def _target(cluster: Cluster) -> Target:
    return Target("cluster", cluster.pk, cluster.name)
