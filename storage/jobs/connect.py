"""Connecting the storage cluster: users of Mooring's own are made on a node, then the panel reaches it by itself."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from infrastructure.drivers.base import HostDriver
from infrastructure.models import Node
from infrastructure.services.endpoints import driver as host_driver
from panel.trust.encryption import encrypt
from panel.ui.format import count
from storage.choices import ClusterState
from storage.drivers.base import Access
from storage.drivers.facts import ClusterFacts
from storage.jobs.cluster_steps import find
from storage.models import Cluster, StorageRevision
from storage.services import access, ceph_admin, observed
from storage.services.clusters import CONNECT
from tasks.errors import Fenced, JobCancelled, JobFailed
from tasks.recovery import Recovery
from tasks.registry import explained, job, undo
from tasks.runner import TaskRun

FORGET_USER = "storage.connect.remove_user"


@dataclass(frozen=True, slots=True)
class Keys:
    """The users that were made: the panel's own, and those as whom nodes open disks of VMs, mount and serve LUNs."""

    panel: ceph_admin.User
    node: ceph_admin.User
    files: ceph_admin.User
    iscsi: ceph_admin.User


def recover(run: TaskRun, *, cluster_id: int, node_id: int) -> Recovery:
    """Every step asks first, so the job may simply run again."""
    return Recovery.resume()


@job(
    CONNECT,
    title="Connecting storage cluster {cluster}",
    permission="storage.manage",
    lock=("storage", "cluster:{cluster_id}"),
    shares="node:{node_id}",
    recover=recover,
    doing="being connected",
)
def connect(run: TaskRun, *, cluster_id: int, node_id: int) -> None:
    cluster = find(cluster_id)
    try:
        _connect(run, cluster, _node(node_id))
    except (Fenced, JobCancelled):
        raise
    except Exception as error:
        _tell_failure(run, cluster, error)
        raise


def _connect(run: TaskRun, cluster: Cluster, node: Node) -> None:
    with host_driver(node) as host:
        monitors = _look_for_ceph(run, cluster, node, host)
        keys = _make_users(run, cluster, node, host)
    at = timezone.now()  # makes another session in every process: what is open has the capabilities from before
    reached = Access(cluster.name, monitors.fsid, monitors.addresses, cluster.user, keys.panel.key, connected_at=at)
    with run.step(f"Reaching {cluster} from the panel") as step:
        step.command(["ceph", "-m", ",".join(monitors.addresses), "--id", cluster.user, "status"])
        facts = access.driver_with(reached).look()
        step.line(_described(facts))
    with run.step(f"Recording {cluster}") as step:
        run.point_of_no_return()
        with run.atomic():
            _save(cluster, node, monitors, keys, at)
            observed.record(cluster, facts, at)
        step.line("From now on Mooring looks at it every few seconds")


def _look_for_ceph(run: TaskRun, cluster: Cluster, node: Node, host: HostDriver) -> ceph_admin.Monitors:
    with run.step(f"Looking for Ceph on {node}") as step:
        ceph_admin.require_admin(host, node)
        step.command(ceph_admin.monitors_command())
        found = ceph_admin.monitors(host, node)
        if cluster.fsid is not None and str(cluster.fsid) != found.fsid:
            raise JobFailed(
                f"{node} belongs to another cluster: its fsid is {found.fsid}, that of {cluster} is {cluster.fsid}.",
                "Connect through a node of the same cluster, or disconnect this one first.",
            )
        step.line(f"Cluster {found.fsid}; monitors: {', '.join(found.addresses)}")
    return found


def _make_users(run: TaskRun, cluster: Cluster, node: Node, host: HostDriver) -> Keys:
    with run.step("Giving Mooring users of its own"):
        return Keys(
            _make_user(run, cluster, node, host, cluster.user, ceph_admin.PANEL_CAPABILITIES),
            _make_user(run, cluster, node, host, cluster.node_user, ceph_admin.NODE_CAPABILITIES),
            _make_user(run, cluster, node, host, cluster.files_user, ceph_admin.FILES_CAPABILITIES),
            _make_user(run, cluster, node, host, cluster.iscsi_user, ceph_admin.ISCSI_CAPABILITIES),
        )


def _make_user(
    run: TaskRun, cluster: Cluster, node: Node, host: HostDriver, name: str, wanted: ceph_admin.Capabilities
) -> ceph_admin.User:
    with run.step(f"client.{name}") as step:
        found = ceph_admin.user(host, node, name)
        if found is None:
            step.command(ceph_admin.make_command(name, wanted))
            run.undo(FORGET_USER, cluster_id=cluster.pk, node_id=node.pk, entity=name)
            found = ceph_admin.make_user(host, node, name, wanted)
        elif found.capabilities != dict(wanted):
            step.command(ceph_admin.allow_command(name, wanted))
            ceph_admin.allow(host, node, name, wanted)
            step.line("Its capabilities were others")
        else:
            step.already_done("it has the capabilities it needs")
        run.secrets.add(found.key)
    return found


@undo(FORGET_USER)
def forget_user(run: TaskRun, *, cluster_id: int, node_id: int, entity: str) -> None:
    """Take away a user that this task made, unless Mooring is connected by it: the rest failed after that."""
    cluster = Cluster.objects.filter(pk=cluster_id).first()
    node = _node(node_id)
    if cluster is not None and _connected_since(cluster, run):
        run.line(f"client.{entity} is kept: {cluster} is connected")
        return
    run.command(ceph_admin.remove_command(entity))
    with host_driver(node) as host:
        ceph_admin.remove_user(host, node, entity)


def _connected_since(cluster: Cluster, run: TaskRun) -> bool:
    return cluster.connected_at is not None and cluster.connected_at > run.task.created_at


def _save(cluster: Cluster, node: Node, monitors: ceph_admin.Monitors, keys: Keys, at: datetime) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(
        fsid=monitors.fsid,
        monitors=list(monitors.addresses),
        key=encrypt(keys.panel.key),
        node_key=encrypt(keys.node.key),
        files_key=encrypt(keys.files.key),
        iscsi_key=encrypt(keys.iscsi.key),
        through=node,
        connected_at=at,
        state_reason="",
        rev=StorageRevision.bump(),
    )
    observed.announce()


def _described(facts: ClusterFacts) -> str:
    tiers = sorted({disk.tier for disk in facts.disks if disk.tier is not None})
    where = f" in {'tier' if len(tiers) == 1 else 'tiers'} {', '.join(map(str, tiers))}" if tiers else ""
    monitors = count(sum(daemon.kind == "mon" for daemon in facts.daemons), "monitor")
    return f"Ceph {facts.version}, {facts.health}: {monitors}, {count(len(facts.disks), 'disk')}{where}"


def _node(node_id: int) -> Node:
    node = Node.objects.filter(pk=node_id, onboarded_at__isnull=False).first()
    if node is None:
        raise JobFailed("The node was removed.", "Connect through another node.")
    return node


def _tell_failure(run: TaskRun, cluster: Cluster, error: Exception) -> None:
    """A cluster that was never connected says why."""
    told = explained(error)
    reason = told[0] if told else "Connecting it failed by a fault of Mooring."
    with run.atomic():
        waiting = Cluster.objects.filter(pk=cluster.pk, connected_at=None, state=ClusterState.NEW)
        if waiting.update(state_reason=reason, rev=StorageRevision.bump()):
            observed.announce()
