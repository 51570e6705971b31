"""From rows to the drivers that talk to target servers."""

from infrastructure.models import Node
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.errors import NotPossible
from iscsi.drivers.base import TargetServers
from iscsi.drivers.facts import CephAccess
from panel.trust.encryption import decrypt
from storage.models import Cluster


def servers_on(node: Node) -> TargetServers:
    """The target servers of a node, shared by this process; nothing is opened until something is asked."""
    # Not at the top: the web process imports services, and needs no SSH for showing pages.
    from iscsi.drivers.registry import servers_of

    return servers_of(endpoint_for(node))


def ceph_access(cluster: Cluster) -> CephAccess:
    """As whom servers open images. NotPossible before the cluster has such a user; TrustError without its key."""
    require_user(cluster)
    return CephAccess(tuple(cluster.monitors), cluster.iscsi_user, decrypt(cluster.iscsi_key))


def require_user(cluster: Cluster) -> None:
    """NotPossible, with what to do, for a cluster that was connected before Mooring knew iSCSI."""
    if not cluster.iscsi_key:
        raise NotPossible(
            f"Target servers have no user of {cluster} yet",
            advice="Use Manage ▸ Connect again on the storage's Overview: it makes one.",
        )


def only_cluster() -> Cluster:
    """The storage cluster, connected. NotPossible without one."""
    cluster = Cluster.objects.exclude(connected_at=None).order_by("pk").first()
    if cluster is None:
        raise NotPossible("No storage cluster is connected", advice="Connect one under Storage first.")
    return cluster
