"""17+3 on 21 real disks: it keeps serving after 2, and loses nothing after 3, as the picker told."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from panel.accounts.models import User
from storage.redundancy import MODES
from tests import instances
from tests.lab.chunks import active, groups_of, read, together, until, write
from tests.lab.conftest import RunningLab
from tests.lab.onboarded import completed, panel_of
from tests.lab.storage_panel import StoragePanel, connected

pytestmark = pytest.mark.lab


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


def waits(group: dict[str, Any]) -> bool:
    """Whether it has agreed on who is left, and serves nothing because they are too few."""
    return "peered" in group["state"].split("+")


def test_two_disks_cost_nothing_and_a_third_a_pause(wide: StoragePanel) -> None:
    mode = MODES["ec17-3"]
    assert (mode.keeps_serving_after, mode.loses_nothing_after) == (2, 3)
    datastore = wide.create("wide", tier=2, mode=mode.key, domain="osd")
    image = f"{datastore.pool}/proof"
    written = write(wide.lab, image, 16)
    # New groups agree one after another.
    until(wide.lab, datastore.data_pool, lambda found: all(len(group["disks"]) == mode.needs for group in found), 60)
    groups = groups_of(wide.lab, datastore.data_pool)
    first, second, third = together(3, groups)

    for disk in (first, second):
        wide.lab.run("disk-off", str(disk))
    until(wide.lab, datastore.data_pool, lambda found: not any({first, second} & set(g["disks"]) for g in found), 30)
    until(wide.lab, datastore.data_pool, lambda found: all(active(group) for group in found), 30)  # after peering
    assert read(wide.lab, image) == written

    wide.lab.run("disk-off", str(third))
    until(wide.lab, datastore.data_pool, lambda found: any(waits(group) for group in found), 30)
    paused = [group for group in groups_of(wide.lab, datastore.data_pool) if waits(group)]
    assert all(len(group["disks"]) < mode.data + 1 for group in paused), paused
    until(wide.lab, datastore.data_pool, lambda found: all(active(group) for group in found), 120)
    assert read(wide.lab, image) == written
