"""One driver per storage cluster and process, shared by all threads."""

from contextlib import AbstractContextManager

from infrastructure.drivers.shared import Shared
from storage.drivers.base import Access, StorageCluster
from storage.drivers.ceph import CephCluster

_clusters: Shared[Access, StorageCluster] = Shared(CephCluster, Access.succeeds)


def cluster_for(access: Access) -> StorageCluster:
    """The driver of this cluster; made at the first call, connected when it is first asked something.

    Once the cluster was connected again, the first to ask with the new access closes what was open before, in every
    process.
    """
    return _clusters.of(access)


def drop(access: Access) -> None:
    """Forget the cluster and close its connection without waiting for it; after a change of its monitors or key."""
    _clusters.drop(access)


def drop_all() -> None:
    """Close every connection of this process."""
    _clusters.drop_all()


def replaced(name: str, cluster: StorageCluster) -> AbstractContextManager[None]:
    """Answer with this driver for the cluster of this name: for tests of what no engine can be made to show."""
    return _clusters.replaced(name, cluster)
