"""What the jobs about a cluster share."""

from django.utils import timezone

from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster
from storage.services import observed
from tasks.errors import JobFailed


def find(cluster_id: int) -> Cluster:
    """The cluster's row. JobFailed when it was disconnected."""
    cluster = Cluster.objects.select_related("through").filter(pk=cluster_id).first()
    if cluster is None:
        raise JobFailed("The storage cluster was disconnected.", "Nothing is left to do.")
    return cluster


def look(cluster: Cluster, opened: StorageCluster) -> ClusterFacts:
    """Ask the cluster now; the pages show what it told, unless the collector asked later and was quicker."""
    at = timezone.now()
    facts = opened.look()
    observed.record(cluster, facts, at)
    return facts
