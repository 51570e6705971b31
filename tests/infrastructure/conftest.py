"""Fixtures for the services and jobs of the infrastructure."""

from collections.abc import Iterator

import pytest

from tasks import messages
from tests.infrastructure.fake_nodes import Cluster, fake_cluster


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
def cluster(transactional_db: None, sent: list[tuple[int, str]]) -> Iterator[Cluster]:
    """Two nodes in memory: primary with a running vmtest, secondnode1."""
    with fake_cluster() as made:
        yield made


from tests.infrastructure.node_host import debian  # noqa: E402, F401
