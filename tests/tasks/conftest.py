"""The test jobs stand in for those of the installed apps; each test ends with the invariants."""

from collections.abc import Iterator

import pytest

from tasks import registry
from tests.tasks import helpers
from tests.tasks.jobs import Engine
from tests.tasks.jobs import engine as the_engine


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """What the test jobs do; only these tests' jobs are registered."""
    monkeypatch.setattr(registry, "_discovered", True)
    the_engine.reset()
    yield the_engine
    the_engine.reset()


@pytest.fixture(autouse=True)
def _without_a_broker(sent: list[tuple[int, str]]) -> None:
    """Every test's messages are kept."""


@pytest.fixture(autouse=True)
def _invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    """Asserted after every test that uses the database."""
    marked = request.node.get_closest_marker("django_db")
    if marked is not None:
        request.getfixturevalue("transactional_db" if marked.kwargs.get("transaction") else "db")
    yield
    if marked is not None:
        helpers.assert_invariants()
