"""Whether what is known of a cluster may be acted on."""

from datetime import datetime, timedelta

from django.utils import timezone

from infrastructure.services.errors import NotPossible
from infrastructure.services.figures import sentence
from panel.ui.format import duration
from storage.choices import ClusterState
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster
from storage.services.observed import facts_of

STALE_AFTER = timedelta(seconds=30)  # as for nodes; a look is due every few seconds


def silence(cluster: Cluster, now: datetime | None = None) -> str:
    """Why nothing new may be placed on the cluster: it does not answer, or refuses the panel. "" while it answers."""
    if cluster.state == ClusterState.REFUSED:
        return f"{cluster} refuses the panel"
    if cluster.observed_at is None:
        return f"{cluster} has not been looked at yet"
    age = (now or timezone.now()) - cluster.observed_at
    if cluster.state == ClusterState.ONLINE and age <= STALE_AFTER:
        return ""
    return f"{cluster} has not answered for {duration(age.total_seconds())}"


def current_facts(cluster: Cluster, now: datetime | None = None) -> ClusterFacts:
    """What the last look told, while it may be acted on; NotPossible otherwise."""
    if why := silence(cluster, now):
        cause = sentence(cluster.state_reason)
        raise NotPossible(why, advice=f"{cause} Space can be given out again when it answers.".strip())
    facts = facts_of(cluster)
    if facts is None:
        raise NotPossible(f"{cluster} has not been looked at yet", advice="Try again in a few seconds.")
    return facts
