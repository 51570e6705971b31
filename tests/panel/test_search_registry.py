"""Registering what can be searched."""

from collections.abc import Iterator

import pytest

from panel.search import registry
from panel.search.registry import Found, Query, Source, register


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_sources", {})
    yield


def source(key: str) -> Source:
    return Source(key, key.title(), "infrastructure.view", _nothing, ("thing", "things"), order=1)


def _nothing(user: object, query: Query) -> Found:
    return Found([], 0)


def test_a_key_belongs_to_one_source() -> None:
    register(source("luns"))
    register(source("luns"))  # the same app, started twice

    with pytest.raises(ValueError, match="luns"):
        register(Source("luns", "Others", "task.view", _nothing, ("x", "xs"), order=2))


def test_no_source_may_call_itself_everything() -> None:
    with pytest.raises(ValueError, match="all"):
        register(source("all"))
