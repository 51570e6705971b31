"""Datastores on nodes: what each node should have, and an idempotent reconcile that makes it so.

A VM's disk on a datastore needs libvirt's secret with the key of the cephx user that nodes share; the storage pool of
the same name lets `virsh vol-list` and other programs see what is there. A datastore for files is mounted.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from infrastructure.drivers.base import Conflict, DriverError, HostDriver, RbdPool, Unreachable
from infrastructure.models import Node
from infrastructure.services.endpoints import driver
from panel.trust.encryption import decrypt
from panel.trust.errors import TrustError
from storage.choices import AttachmentState, DatastoreState, Use
from storage.models import Attachment, Cluster, Datastore, StorageRevision
from storage.services import mounts
from storage.services.observed import announce
from storage.services.turns import NODE_SECONDS, side_by_side, turn

PREFIX = "mooring-"
ALL = ""  # instead of a name: whatever the node should have


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconcile of one node found: names of the pools attached now, and the reasons of those that are not."""

    node: Node
    attached: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()  # (name or ALL, reason)


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

    See `drop_keys` for when the key stays.
    """
    with turn(node):
        told = _detach(node, host)
        return [*told, *drop_keys(node, host)] if told else []


def _detach(node: Node, host: HostDriver) -> list[str]:
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
    return told


def drop_keys(node: Node, host: HostDriver) -> list[str]:
    """Have a node without datastores for VMs forget the keys of their disks; what was done and what stays, in words.

    A key stays while a VE there has a disk that is opened with it, since that VE could not start again.
    """
    told = []
    kept = host.secrets()
    for cluster in Cluster.objects.exclude(fsid=None):
        if (secret := secret_of(cluster)) not in kept:
            continue
        if users := sorted(ve.name for ve in host.ves() if any(disk.secret == secret for disk in ve.disks)):
            told.append(
                f"The key of {cluster} stays, for disks of {', '.join(users)}. When they have moved: "
                f"{' '.join(forget_key_command(cluster))} on {node}"
            )
        elif host.drop_secret(secret):
            told.append(f"The key of {cluster} was taken off")
    return told


def forget_key_command(cluster: Cluster) -> list[str]:
    """What has a node forget the key of VMs' disks."""
    return ["virsh", "secret-undefine", secret_of(cluster)]


def reconcile(node: Node) -> Outcome:
    """Make the node have what it should and nothing else of Mooring's. What fails is in the outcome and in the rows."""
    try:
        with turn(node):
            return _reconcile(node)
    except Conflict as busy:
        return Outcome(node, failed=((ALL, str(busy)),))


def reconcile_each(among: Iterable[Node], *, while_waiting: Callable[[], None] = lambda: None) -> Iterator[Outcome]:
    """Reconcile nodes side by side, as `turns.side_by_side` says; of one that takes too long, that it goes on."""

    def late(node: Node) -> Outcome:
        return Outcome(node, failed=((ALL, f"it takes longer than {NODE_SECONDS:g} s and goes on by itself"),))

    return side_by_side(among, reconcile, late, while_waiting=while_waiting)


def _reconcile(node: Node) -> Outcome:
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
        if row.kind != Use.FILES and not _others(row).exists():
            drop_keys(row.node, host)  # before the row goes, so that it is tried again when it fails
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


def _others(row: Attachment) -> QuerySet[Attachment]:
    """What else the node has, or has had, of the kind."""
    return Attachment.objects.filter(node=row.node, kind=row.kind).exclude(pk=row.pk)


def _keep_pool(host: HostDriver, datastore: Datastore, keyed: set[int]) -> None:
    cluster = datastore.cluster
    if cluster.pk not in keyed:
        host.keep_secret(secret_of(cluster), f"client.{cluster.node_user}", b64decode(_key(cluster, cluster.node_key)))
        keyed.add(cluster.pk)
    host.keep_pool(pool_of(datastore))


def _keep_mount(host: HostDriver, row: Attachment, datastore: Datastore) -> None:
    """Two datastores that follow each other under one name have one folder: the former is let go of first."""
    if _others(row).filter(name=row.name).exists():
        raise Conflict(f"The node still has the former datastore {datastore}", code="former", component="host")
    mounts.keep(host, datastore.cluster, datastore.name, _key(datastore.cluster, datastore.cluster.files_key))


def _drop(host: HostDriver, row: Attachment) -> None:
    if row.kind != Use.FILES:
        host.drop_pool(str(row.uuid))
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


def _key(cluster: Cluster, stored: str) -> str:
    """A key for nodes. DriverError when it cannot be read, so that the rows say it."""
    try:
        return decrypt(stored)
    except TrustError as error:
        raise DriverError(
            f"The key of {cluster} for nodes cannot be decrypted",
            code="key",
            component="panel",
            advice="Connect the cluster again, or restore Mooring's own keys from a backup.",
        ) from error


def _uuid_of(datastore: Datastore) -> str:
    return str(uuid5(_fsid(datastore.cluster), f"datastore:{datastore.pk}"))


def _fsid(cluster: Cluster) -> UUID:
    if cluster.fsid is None:
        raise ValueError(f"{cluster} was never connected")
    return UUID(str(cluster.fsid))
