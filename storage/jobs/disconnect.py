"""Letting go of the storage cluster. Its data is not touched: Mooring takes its own users away and forgets it."""

from infrastructure.drivers.base import DriverError, TimedOut
from infrastructure.models import Node
from infrastructure.services.endpoints import driver as host_driver
from infrastructure.services.figures import sentence
from panel import series
from storage.jobs.cluster_steps import find
from storage.models import Cluster, StorageRevision
from storage.services import access, attachments, ceph_admin, observed
from storage.services.clusters import DISCONNECT, require_unused
from storage.services.turns import NODE_SECONDS, side_by_side, turn
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import Step, TaskRun

LATE = TimedOut(f"It does not answer within {NODE_SECONDS:g} s")


def recover(run: TaskRun, *, cluster_id: int) -> Recovery:
    """Every step may be repeated; once the row is gone, all of it was done."""
    return Recovery.resume() if Cluster.objects.filter(pk=cluster_id).exists() else Recovery.completed()


@job(
    DISCONNECT,
    title="Disconnecting storage cluster {cluster}",
    permission="storage.manage",
    lock=("storage", "cluster:{cluster_id}"),
    recover=recover,
    doing="being disconnected",
)
def disconnect(run: TaskRun, *, cluster_id: int) -> None:
    cluster = find(cluster_id)
    require_unused(cluster)
    with run.step(f"Taking Mooring's users off {cluster}") as step:
        run.point_of_no_return()
        try:
            _remove_users(step, cluster)
        except (DriverError, JobFailed) as error:
            commands = "; ".join(" ".join(ceph_admin.remove_command(name)) for name in _users(cluster))
            run.warn(f"{sentence(_cause(error))} Mooring's users stay in the cluster; remove them there: {commands}")
    if cluster.fsid is not None:
        with run.step("Taking its key off the nodes") as step:
            step.command(attachments.forget_key_command(cluster))
            _take_keys_off(run, cluster)
    with run.step(f"Forgetting {cluster}") as step:
        access.drop(cluster)  # this worker's; those of other processes end with the key
        with run.atomic():
            require_unused(cluster)
            Cluster.objects.filter(pk=cluster.pk).delete()
            StorageRevision.bump()
            observed.announce()
        series.remove("cluster", cluster.pk)
        step.line(f"{cluster} is no longer managed; its data was not touched")


def _users(cluster: Cluster) -> tuple[str, ...]:
    return cluster.user, cluster.node_user, cluster.files_user, cluster.iscsi_user


def _remove_users(step: Step, cluster: Cluster) -> None:
    if cluster.connected_at is None:
        step.already_done("it was never connected")
        return
    node = cluster.through
    if node is None:
        raise JobFailed("The node through which it was connected was removed.")
    with host_driver(node) as host:
        ceph_admin.require_admin(host, node)
        fsid = ceph_admin.monitors(host, node).fsid
        if fsid != str(cluster.fsid):
            raise JobFailed(f"{node} belongs to another cluster now, {fsid}.")
        for name in _users(cluster):
            step.command(ceph_admin.remove_command(name))
            ceph_admin.remove_user(host, node, name)


def _take_keys_off(run: TaskRun, cluster: Cluster) -> None:
    """The key with which nodes opened disks of VMs. What cannot be taken off is told: nobody comes back for it."""
    command = " ".join(attachments.forget_key_command(cluster))

    def take(node: Node) -> list[str] | DriverError:
        try:
            with turn(node):
                return attachments.drop_keys(node, host_driver(node))
        except DriverError as error:
            return error

    nodes = attachments.nodes()
    for node, told in side_by_side(nodes, lambda node: (node, take(node)), lambda node: (node, LATE)):
        if isinstance(told, DriverError):
            run.warn(f"{node}: {sentence(_cause(told))} If it has the key of {cluster}, remove it there: {command}")
            continue
        for words in told:
            run.line(f"{node}: {words}")


def _cause(error: DriverError | JobFailed) -> str:
    return error.message if isinstance(error, DriverError) else error.reason
