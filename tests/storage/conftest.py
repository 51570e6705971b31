"""Fixtures for the storage."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from infrastructure.choices import NodeState
from infrastructure.models import Node
from storage.models import Cluster
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import fake_cluster
from tests.storage.samples import make_cluster


@pytest.fixture
def cluster(db: None) -> Cluster:
    """A connected, healthy cluster: three hosts, each with disks in tier 1, 2 and 1."""
    return make_cluster()


@pytest.fixture
def nodes(db: None) -> Iterator[Nodes]:
    """Two nodes in memory that are set up and answer: primary with a running vmtest, secondnode1."""
    with fake_cluster() as made:
        Node.objects.update(onboarded_at=timezone.now(), state=NodeState.ONLINE)
        yield made


from tests.storage.ceph_host import ceph_host  # noqa: E402, F401
