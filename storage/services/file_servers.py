"""What datastores for files need beyond a policy that fits: a user for nodes, and metadata servers."""

from infrastructure.services.errors import NotPossible
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster

START_ONE = "Start ceph-mds on a node, better on two: one serves, the other stands by."


def check(cluster: Cluster, facts: ClusterFacts) -> None:
    """NotPossible, with what to do, unless nodes could mount directories of this cluster."""
    if not cluster.files_key:
        raise NotPossible(
            f"Nodes have no user of {cluster} for files yet",
            advice="Use Manage ▸ Connect again on the Overview: it makes one.",
            field="use",
        )
    if not any(daemon.kind == "mds" and daemon.up for daemon in facts.daemons):
        raise NotPossible(
            f"{cluster} runs no metadata server for files (ceph-mds)",
            advice=START_ONE,
            field="use",
        )
