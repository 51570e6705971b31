"""Steps that the jobs about a disk share."""

from collections.abc import Callable

from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster
from storage.services import observed
from storage.services.access import driver
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.runner import TaskRun

LOCK, SHARES = "disk:{disk_id}", "cluster:{cluster_id}"
Look = Callable[[], ClusterFacts]


def recover(run: TaskRun, **params: object) -> Recovery:
    """Every step asks the cluster first, and Ceph moves data on by itself: the job may simply run again."""
    return Recovery.resume()


def open_cluster(cluster_id: int) -> tuple[StorageCluster, Look]:
    """The cluster's driver, and a look at the cluster that the pages show too. JobFailed when it was removed."""
    cluster = Cluster.objects.filter(pk=cluster_id).first()
    if cluster is None:
        raise JobFailed("The storage cluster is not in Mooring any more.", "Connect it again, then retry the task.")
    engine = driver(cluster)

    def look() -> ClusterFacts:
        facts = engine.look()
        observed.record(cluster, facts)
        return facts

    return engine, look
