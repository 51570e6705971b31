"""17+3 on 21 real disks: it keeps serving after 2, and loses nothing after 3, as the picker told."""

import time
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest

from panel.accounts.models import User
from storage.redundancy import MODES
from tests import instances
from tests.lab.ceph import told
from tests.lab.conftest import RunningLab
from tests.lab.onboarded import completed, panel_of
from tests.lab.storage_panel import StoragePanel, connected

pytestmark = pytest.mark.lab
NONE = 2147483647  # Ceph's word for no disk in an acting set


@pytest.fixture
def wide_lab() -> Iterator[RunningLab]:
    """A lab of its own with 21 disks in tier 2."""
    made = RunningLab(f"{instances.LAB}wide")
    made.run("up", "--disks", "7", "--one-tier", "2")
    yield made
    made.run("down", "--purge")


@pytest.fixture
def wide(wide_lab: RunningLab, transactional_db: None, make_user: Callable[..., User]) -> Iterator[StoragePanel]:
    with panel_of(wide_lab, make_user("admin", "administrator")) as nodes:
        completed(nodes.add("primary"))
        with connected(nodes) as made:
            yield made


def groups_of(panel: StoragePanel, pool: str) -> list[dict[str, Any]]:
    """Its placement groups: state, and acting disks without holes."""
    found = told(panel.lab, "pg", "ls-by-pool", pool)["pg_stats"]
    return [{"state": row["state"], "disks": [disk for disk in row["acting"] if disk != NONE]} for row in found]


def together(groups: list[dict[str, Any]]) -> tuple[int, ...]:
    """Three disks of which at least one group has all, and as many groups as possible do not."""
    everywhere = combinations(groups[0]["disks"], 3)
    return min(everywhere, key=lambda three: sum(set(three) <= set(group["disks"]) for group in groups))


def until(panel: StoragePanel, pool: str, wanted: Callable[[list[dict[str, Any]]], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not wanted(groups := groups_of(panel, pool)):
        assert time.monotonic() < end, groups
        time.sleep(1)


def active(group: dict[str, Any]) -> bool:
    return "active" in group["state"].split("+")


def test_two_disks_cost_nothing_and_a_third_a_pause(wide: StoragePanel) -> None:
    mode = MODES["ec17-3"]
    assert (mode.keeps_serving_after, mode.loses_nothing_after) == (2, 3)
    datastore = wide.create("wide", tier=2, mode=mode.key, domain="osd")
    image = f"{datastore.pool}/proof"
    script = f"head -c 16M /dev/urandom >/tmp/proof; rbd import --no-progress /tmp/proof {image}; sha256sum </tmp/proof"
    written = wide.lab.exec("primary", "sh", "-c", script).split()[0]
    groups = groups_of(wide, datastore.data_pool)
    assert {len(group["disks"]) for group in groups} == {20}
    first, second, third = together(groups)

    for disk in (first, second):
        wide.lab.run("disk-off", str(disk))
    until(wide, datastore.data_pool, lambda found: not any({first, second} & set(g["disks"]) for g in found), 30)
    assert all(active(group) for group in groups_of(wide, datastore.data_pool))
    assert read(wide, image) == written

    wide.lab.run("disk-off", str(third))
    until(wide, datastore.data_pool, lambda found: any(not active(group) for group in found), 30)
    paused = [group for group in groups_of(wide, datastore.data_pool) if not active(group)]
    assert all(len(group["disks"]) < mode.data + 1 for group in paused), paused
    until(wide, datastore.data_pool, lambda found: all(active(group) for group in found), 120)
    assert read(wide, image) == written


def read(panel: StoragePanel, image: str) -> str:
    return panel.lab.exec("primary", "sh", "-c", f"rbd export --no-progress {image} - | sha256sum").split()[0]
