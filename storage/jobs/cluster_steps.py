"""What the jobs about a cluster share."""

from storage.models import Cluster
from tasks.errors import JobFailed


def find(cluster_id: int) -> Cluster:
    """The cluster's row. JobFailed when it was disconnected."""
    cluster = Cluster.objects.select_related("through").filter(pk=cluster_id).first()
    if cluster is None:
        raise JobFailed("The storage cluster was disconnected.", "Nothing is left to do.")
    return cluster
