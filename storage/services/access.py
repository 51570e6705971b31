"""From a cluster's row to the driver that talks to it. The right of whoever asks: infrastructure.services.access."""

from infrastructure.services.errors import NotPossible
from panel.trust.encryption import decrypt
from panel.trust.errors import TrustError
from storage.drivers.base import Access, StorageCluster
from storage.models import Cluster


def access_of(cluster: Cluster) -> Access:
    """How the cluster is reached. NotPossible before it was connected; TrustError when its key cannot be decrypted."""
    if not cluster.key or cluster.fsid is None:
        raise NotPossible(f"{cluster} is not connected", advice="Connect it again.")
    return Access(
        name=cluster.name,
        fsid=str(cluster.fsid),
        monitors=tuple(cluster.monitors),
        user=cluster.user,
        key=decrypt(cluster.key),
        connected_at=cluster.connected_at,
    )


def driver(cluster: Cluster) -> StorageCluster:
    """The cluster's driver, shared by this process; nothing is opened until it is asked something."""
    return driver_with(access_of(cluster))


def driver_with(access: Access) -> StorageCluster:
    """The driver for an access that may not be in a row yet."""
    # Not at the top: the web process imports services and jobs, and librados is to be loaded only where it is used.
    from storage.drivers.registry import cluster_for

    return cluster_for(access)


def drop(cluster: Cluster) -> None:
    """Close this process's connection, without waiting for the cluster; the next `driver` opens a new one."""
    from storage.drivers import registry

    try:
        registry.drop(access_of(cluster))
    except (NotPossible, TrustError):
        return  # without a key nothing was opened
