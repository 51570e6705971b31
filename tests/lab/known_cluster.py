"""The lab's nodes and its cluster in the panel's rows as if they had been set up: for what needs no onboarding."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from infrastructure.models import Node
from infrastructure.services import nodes
from panel.trust.encryption import encrypt
from storage.drivers import registry
from storage.models import Cluster
from storage.services import observed
from storage.services.access import driver
from tasks.models import Task
from tests.lab.ceph import access
from tests.lab.onboarded import OnboardedLab

UNUSED_KEY = "the nodes are not set up, so none mounts anything"


def known_cluster(panel: OnboardedLab) -> Cluster:
    """The cluster's row, with a user of exactly the panel's capabilities."""
    for shown in panel.lab.nodes:
        nodes.add(
            user=panel.admin,
            name=shown.name,
            address=shown.address,
            ssh_port=shown.ssh_port,
            fingerprint=shown.fingerprint,
        )
    Node.objects.update(onboarded_at=timezone.now())
    Task.objects.all().delete()
    found = access(panel.lab)
    return Cluster.objects.create(
        name="lab",
        fsid=found.fsid,
        monitors=list(found.monitors),
        user=found.user,
        key=encrypt(found.key),
        files_key=encrypt(UNUSED_KEY),
    )


def look(cluster: Cluster) -> None:
    """What the collector does every few seconds."""
    observed.record(cluster, driver(cluster).look())
    cluster.refresh_from_db()


@pytest.fixture
def cluster(panel_lab: OnboardedLab) -> Iterator[Cluster]:
    """The cluster of the lab, looked at once; its connections are closed afterwards."""
    made = known_cluster(panel_lab)
    look(made)
    yield made
    registry.drop_all()
