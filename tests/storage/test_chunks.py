"""Ceph's placement-group states as the panel's chunk states."""

import pytest

from storage.chunks import Chunks, count
from storage.drivers.facts import Groups


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("active+clean", "healthy"),
        ("active+clean+scrubbing+deep", "healthy"),
        ("active+undersized", "degraded"),
        ("active+undersized+degraded", "degraded"),
        ("undersized+degraded+peered", "blocked"),
        ("incomplete", "blocked"),
        ("down", "offline"),
        ("stale+active+clean", "offline"),
        ("creating+peering", "settling"),
        ("unknown", "settling"),
    ],
)
def test_each_state_has_one_word(state: str, kind: str) -> None:
    assert count(Groups(total=3, states={state: 3})) == Chunks(total=3, **{kind: 3})


def test_chunks_that_are_being_copied_are_counted_beside_what_they_are() -> None:
    states = {"active+recovering+degraded": 2, "active+remapped+backfilling": 3, "active+remapped+backfill_wait": 5}
    found = count(Groups(total=10, states=states))
    assert (found.replicating, found.degraded, found.healthy, found.not_served) == (5, 2, 0, 0)


def test_an_urgent_chunk_is_not_counted_as_degraded_too() -> None:
    found = count(Groups(total=10, states={"active+clean": 6, "active+undersized+degraded": 4}, urgent=1))
    assert (found.healthy, found.degraded, found.urgent) == (6, 3, 1)


def test_urgent_chunks_are_never_more_than_there_are_degraded_ones() -> None:
    states = {"undersized+degraded+peered": 4, "active+undersized+degraded": 3}
    found = count(Groups(total=7, states=states, urgent=5))
    assert (found.blocked, found.urgent, found.degraded) == (4, 3, 0)
    assert found.not_served == 4
