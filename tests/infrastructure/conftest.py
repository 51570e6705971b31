"""Fixtures for the services and jobs of the infrastructure."""

from collections.abc import Iterator

import pytest

from tests.infrastructure.fake_nodes import Cluster, fake_cluster


@pytest.fixture
def cluster(transactional_db: None, sent: list[tuple[int, str]]) -> Iterator[Cluster]:
    """Two nodes in memory: primary with a running vmtest, secondnode1."""
    with fake_cluster() as made:
        yield made


from tests.infrastructure.node_host import debian  # noqa: E402, F401
