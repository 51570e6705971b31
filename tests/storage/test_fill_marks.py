"""The fill marks of a Ceph cluster: changed one after the other, and in order at every moment."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from storage.drivers.ceph_settings import set_marks
from storage.drivers.facts import Ratios

KEYS = {
    "osd set-nearfull-ratio": "nearfull_ratio",
    "osd set-backfillfull-ratio": "backfillfull_ratio",
    "osd set-full-ratio": "full_ratio",
}
ORDER = tuple(KEYS.values())
percents = st.lists(st.integers(1, 97), min_size=3, max_size=3, unique=True).map(sorted)


class Marks:
    """Stands in for a Round: a cluster that refuses marks which are out of order."""

    def __init__(self, percents: list[int]) -> None:
        self.there = {key: percent / 100 for key, percent in zip(ORDER, percents, strict=True)}
        self.changes = 0

    def ask_one(self, command: str) -> dict[str, Any]:
        assert command == "osd dump"
        return dict(self.there)

    def do(self, command: str, *, ratio: float) -> None:
        self.there[KEYS[command]] = ratio
        self.changes += 1
        marks = list(self.there.values())
        assert marks == sorted(marks) and len(set(marks)) == 3, f"{command} {ratio} leaves {self.there}"


@given(before=percents, wanted=percents)
def test_they_are_in_order_at_every_moment(before: list[int], wanted: list[int]) -> None:
    cluster = Marks(before)
    ratios = Ratios(*(percent / 100 for percent in wanted))
    assert set_marks(cluster, ratios) is (before != wanted)  # type: ignore[arg-type]
    assert tuple(cluster.there.values()) == (ratios.near_full, ratios.backfill_full, ratios.full)
    assert cluster.changes == sum(old != new for old, new in zip(before, wanted, strict=True))


def test_raising_one_above_another_that_is_raised_too_waits_for_it() -> None:
    cluster = Marks([70, 75, 80])
    assert set_marks(cluster, Ratios(0.60, 0.85, 0.95))  # type: ignore[arg-type]
