"""A move of data that stands still: its task says so once, with what may hold it up, and goes on following."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from storage.drivers.facts import ClusterFacts, Groups
from storage.services import disk_progress
from storage.services.disk_progress import STALL_SECONDS, Movement, follow
from tests.storage.samples import cluster_facts

LOOK = 10.0  # seconds from one look to the next


class Told:
    """A step and its run: what they were told."""

    def __init__(self) -> None:
        self.run = self
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def progress(self, percent: float | None, note: str = "", **_: Any) -> None:
        self.notes.append(note)

    def warn(self, words: str) -> None:
        self.warnings.append(words)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock; it goes on while the job sleeps."""
    found = [1000.0]

    def sleep(seconds: float) -> None:
        found[0] += seconds

    monkeypatch.setattr(disk_progress, "time", SimpleNamespace(monotonic=lambda: found[0], sleep=sleep))
    monkeypatch.setattr(disk_progress, "LOOK_EVERY", LOOK)
    return found


def facts(left: int, state: str = "active+remapped+backfilling", **changes: Any) -> ClusterFacts:
    groups = Groups(total=33, states={"active+clean": 30, state: 3}, objects=500, copies=1000, misplaced_copies=left)
    return replace(cluster_facts(), groups=groups, **changes)


def followed(looks: Iterator[ClusterFacts]) -> Told:
    told = Told()
    follow(told, lambda: next(looks), Movement(since=0.0), lambda found: not found.groups.misplaced_copies)  # type: ignore[arg-type]
    return told


def still(seconds: float, **changes: Any) -> Iterator[ClusterFacts]:
    for _ in range(int(seconds / LOOK) + 2):
        yield facts(70, **changes)
    yield facts(0)


def test_it_is_told_once_and_followed_to_its_end(now: list[float]) -> None:
    told = followed(still(5 * STALL_SECONDS))
    assert len(told.warnings) == 1
    assert told.warnings[0].startswith("Nothing has moved for 10 min, and 70 copies left. ")
    assert "ceph pg dump_stuck" in told.warnings[0]
    assert told.notes[-1] == "All data has arrived"


def test_a_slow_move_is_none_that_stands_still(now: list[float]) -> None:
    def slow() -> Iterator[ClusterFacts]:
        for left in range(20, -1, -1):
            for _ in range(int(STALL_SECONDS / LOOK) - 5):
                yield facts(left)

    assert followed(slow()).warnings == []


def test_what_is_written_meanwhile_does_not_hide_that_it_moves(now: list[float]) -> None:
    def busy() -> Iterator[ClusterFacts]:
        for look in range(400):
            yield facts(500 + look + 2 * (look % 2))
        yield facts(0)

    assert followed(busy()).warnings == []


def test_a_cluster_that_was_silent_for_long_is_given_time_again(now: list[float]) -> None:
    def silent() -> Iterator[ClusterFacts]:
        yield facts(70)
        now[0] += 2 * STALL_SECONDS  # the look waits for an answer
        yield facts(70)
        yield facts(0)

    assert followed(silent()).warnings == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flags": ("norebalance",)}, "`ceph osd unset norebalance`"),
        ({"state": "active+remapped+backfill_toofull"}, "too full to take more: add disks"),
        ({"state": "down+peering"}, "Chunks wait for disks that are offline: bring them back"),
        ({"state": "active+undersized+degraded"}, "needs a disk in one more host"),
        ({"manager_answers": False}, "No manager answers, so the figures are old: start one"),
    ],
)
def test_it_says_what_may_hold_it_up_and_what_to_do(now: list[float], changes: dict[str, Any], words: str) -> None:
    [warning] = followed(still(STALL_SECONDS, **changes)).warnings
    assert words in warning
    assert "dump_stuck" not in warning
