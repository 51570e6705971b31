"""Fixtures for the storage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.choices import NodeState
from infrastructure.models import Node
from panel.accounts.models import User
from storage.drivers import fake
from storage.models import Cluster
from storage.services import chunk_service, disk_progress
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import fake_cluster
from tests.storage.disk_host import Storage, storage_of
from tests.storage.samples import make_cluster


@pytest.fixture
def cluster(db: None) -> Cluster:
    """A connected, healthy cluster: three hosts, each with disks in tier 1, 2 and 1."""
    return make_cluster()


@pytest.fixture
def nodes(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Nodes]:
    """Two nodes in memory that are set up and answer: primary with a running vmtest, secondnode1.

    Threads reconcile them, which see only what was committed.
    """
    settings.RUN_DIR = tmp_path / "run"
    with fake_cluster() as made:
        Node.objects.update(onboarded_at=timezone.now(), state=NodeState.ONLINE)
        yield made


@pytest.fixture
def storage(
    transactional_db: None, sent: list[tuple[int, str]], administrator: User, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    """A cluster in memory on three nodes, each with disks in tier 1, 2 and 1; waits are short."""
    monkeypatch.setattr(disk_progress, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(disk_progress, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(chunk_service, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(chunk_service, "KILL_SECONDS", 0.2)
    with storage_of(fake.cluster(), administrator) as made:
        yield made


from tests.storage.ceph_host import ceph_host  # noqa: E402, F401
