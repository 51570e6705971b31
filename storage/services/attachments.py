"""Datastores on nodes: what each node should have, and an idempotent reconcile that makes it so.

A VM's disk on a datastore needs libvirt's secret with the key of the cephx user that nodes share; the storage pool of
the same name lets `virsh vol-list` and other programs see what is there. A datastore for files is mounted.
"""

from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from infrastructure.drivers.base import Conflict, DriverError, HostDriver, RbdPool, Unreachable
from infrastructure.models import Node
from infrastructure.services.endpoints import driver
from panel.trust.encryption import decrypt
from storage.choices import AttachmentState, DatastoreState, Use
from storage.models import Attachment, Cluster, Datastore, StorageRevision
from storage.services import mounts
from storage.services.observed import announce

PREFIX = "mooring-"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconcile of one node found: names of the pools attached now, and the reasons of those that are not."""

    node: Node
    attached: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()  # (name, reason)


def secret_of(cluster: Cluster) -> str:
    """The UUID of libvirt's secret: the same on all nodes, since a VM takes it along when it migrates."""
    return str(uuid5(_fsid(cluster), f"client.{cluster.node_user}"))


def pool_of(datastore: Datastore) -> RbdPool:
    """How a node's libvirt is to know the datastore."""
    cluster = datastore.cluster
    return RbdPool(
        name=name_of(datastore),
        uuid=_uuid_of(datastore),
        source=datastore.pool,
        monitors=tuple(cluster.monitors),
        user=cluster.node_user,
        secret=secret_of(cluster),
    )


def name_of(datastore: Datastore) -> str:
    """What attachments of it are called."""
    return f"{PREFIX}{datastore.name}"


def commands(datastore: Datastore, node: Node) -> list[list[str]]:
    """The equivalent commands; keys are read from files, for no argument may hold one."""
    if datastore.use == Use.FILES:
        return [mounts.mount_command(datastore.cluster, datastore.name)]
    wanted, virsh = pool_of(datastore), ["virsh", "-c", f"qemu+tls://{node.address}/system"]
    source = [word for monitor in wanted.monitors for word in ("--source-host", monitor)]
    auth = ["--auth-type", "ceph", "--auth-username", wanted.user, "--secret-uuid", wanted.secret]
    return [
        [*virsh, "secret-set-value", wanted.secret, "--file", f"client.{wanted.user}.key"],
        [*virsh, "pool-define-as", wanted.name, "rbd", "--source-name", wanted.source, *source, *auth],
        [*virsh, "pool-start", wanted.name],
    ]


def nodes() -> list[Node]:
    """The nodes that datastores belong on: all that were set up."""
    return list(Node.objects.filter(onboarded_at__isnull=False).order_by("name"))


def want(datastore: Datastore, among: Iterable[Node]) -> None:
    """Say that the nodes should have the datastore; `reconcile` does it."""
    about = {"kind": datastore.use, "name": name_of(datastore), "uuid": _uuid_of(datastore)}
    rows = [Attachment(node=node, datastore=datastore, **about) for node in among]
    Attachment.objects.bulk_create(rows, ignore_conflicts=True)


def release(datastore: Datastore) -> list[Node]:
    """Say that no node should have the datastore any more; the nodes that may have it."""
    rows = Attachment.objects.filter(datastore=datastore)
    rows.update(wanted=False, state=AttachmentState.LEAVING)
    return [row.node for row in rows.select_related("node")]


def keep(datastore: Datastore) -> None:
    """Take a release back: all nodes should have the datastore, those that let go of it already as well."""
    Attachment.objects.filter(datastore=datastore).update(wanted=True, state=AttachmentState.WAITING, checked_at=None)
    want(datastore, nodes())


def let_go(node: Node, host: HostDriver) -> list[str]:
    """Have a node that leaves Mooring forget the datastores and the key; what was done and what stays, in words.

    The key stays while a VE there has a disk that is opened with it, since that VE could not start again.
    """
    rows = list(Attachment.objects.filter(node=node).order_by("name"))
    Attachment.objects.filter(pk__in=[row.pk for row in rows]).update(wanted=False, state=AttachmentState.LEAVING)
    told = []
    for row in rows:
        row.wanted = False
        try:
            _drop(host, row)
        except Conflict as error:
            told.append(f"{row.name} stays: {error}")
        else:
            told.append(f"{row.name} was detached")
    for cluster in Cluster.objects.exclude(fsid=None) if rows else ():
        secret = secret_of(cluster)
        users = sorted(ve.name for ve in host.ves() if any(disk.secret == secret for disk in ve.disks))
        if users:
            told.append(
                f"The key of {cluster} stays, for disks of {', '.join(users)}. When they have moved: "
                f"`virsh secret-undefine {secret}` on {node}"
            )
        elif host.drop_secret(secret):
            told.append(f"The key of {cluster} was taken off")
    return told


def reconcile(node: Node) -> Outcome:
    """Make the node have what it should and nothing else of Mooring's. What fails is in the outcome and in the rows."""
    ready = Datastore.objects.filter(state=DatastoreState.READY).exclude(use=Use.LUN)
    for datastore in ready.exclude(attachments__node=node).select_related("cluster"):
        want(datastore, [node])
    rows = list(Attachment.objects.filter(node=node).select_related("datastore__cluster").order_by("wanted", "name"))
    host = driver(node)
    attached, failed = [], []
    keyed: set[int] = set()
    for index, row in enumerate(rows):
        try:
            _apply(host, row, keyed)
        except Unreachable as error:
            failed += [(left.name, str(error)) for left in rows[index:]]
            _record(rows[index:], AttachmentState.WAITING, str(error))
            break
        except DriverError as error:
            failed.append((row.name, str(error)))
            _record([row], AttachmentState.FAILED, str(error))
        else:
            attached += [row.name] if row.wanted else []
    return Outcome(node, tuple(attached), tuple(failed))


def _apply(host: HostDriver, row: Attachment, keyed: set[int]) -> None:
    if not row.wanted or row.datastore is None:
        _drop(host, row)
        _forget(row)
        return
    if row.kind == Use.FILES:
        _keep_mount(host, row, row.datastore)
    else:
        _keep_pool(host, row.datastore, keyed)
    if Attachment.objects.filter(pk=row.pk, wanted=True).exists():
        _record([row], AttachmentState.ATTACHED, "")
    else:  # released meanwhile, perhaps before the node had it
        _drop(host, row)


def _keep_pool(host: HostDriver, datastore: Datastore, keyed: set[int]) -> None:
    cluster = datastore.cluster
    if cluster.pk not in keyed:
        host.keep_secret(secret_of(cluster), f"client.{cluster.node_user}", b64decode(decrypt(cluster.node_key)))
        keyed.add(cluster.pk)
    host.keep_pool(pool_of(datastore))


def _keep_mount(host: HostDriver, row: Attachment, datastore: Datastore) -> None:
    """Two datastores that follow each other under one name have one folder: the former is let go of first."""
    same = Attachment.objects.filter(node=row.node, kind=Use.FILES, name=row.name)
    if same.exclude(pk=row.pk).exists():
        raise Conflict(f"The node still has the former datastore {datastore}", code="former", component="host")
    mounts.keep(host, datastore.cluster, datastore.name, decrypt(datastore.cluster.files_key))


def _drop(host: HostDriver, row: Attachment) -> None:
    if row.kind != Use.FILES:
        host.drop_pool(row.name, str(row.uuid))
        return
    mounts.drop(host, row.name.removeprefix(PREFIX))
    if not Attachment.objects.filter(node=row.node, kind=Use.FILES, wanted=True).exists():
        mounts.forget(host)


def _record(rows: Sequence[Attachment], state: str, reason: str) -> None:
    """Write what was found; only news take a revision. What is wanted otherwise by now is for the next reconcile."""
    now = timezone.now()
    with transaction.atomic():
        wanted = dict(Attachment.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "wanted"))
        rows = [row for row in rows if wanted.get(row.pk) == row.wanted]
        changed = [row for row in rows if (row.state, row.reason) != (state, reason)]
        for row in rows:
            row.state, row.reason, row.checked_at = (state if row.wanted else AttachmentState.LEAVING), reason, now
        Attachment.objects.bulk_update(rows, ["state", "reason", "checked_at"])
        if changed:
            StorageRevision.bump()
            announce()


def _forget(row: Attachment) -> None:
    """Delete the row, unless the datastore is wanted again by now."""
    with transaction.atomic():
        Attachment.objects.filter(pk=row.pk).exclude(wanted=True, datastore__isnull=False).delete()
        StorageRevision.bump()
        announce()


def _uuid_of(datastore: Datastore) -> str:
    return str(uuid5(_fsid(datastore.cluster), f"datastore:{datastore.pk}"))


def _fsid(cluster: Cluster) -> UUID:
    if cluster.fsid is None:
        raise ValueError(f"{cluster} was never connected")
    return UUID(str(cluster.fsid))
