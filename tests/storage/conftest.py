"""Fixtures for the storage."""

import pytest

from storage.models import Cluster
from tasks import messages
from tests.storage.samples import make_cluster


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The messages, (task id, queue), instead of a broker."""
    sent: list[tuple[int, str]] = []

    def send(task_id: int, queue: str) -> bool:
        sent.append((task_id, queue))
        return True

    monkeypatch.setattr(messages, "send", send)
    return sent


@pytest.fixture
def cluster(db: None) -> Cluster:
    """A connected, healthy cluster: three hosts, each with disks in tier 1, 2 and 1."""
    return make_cluster()


from tests.storage.ceph_host import ceph_host  # noqa: E402, F401
