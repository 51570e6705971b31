"""Each policy serves after as many losses as the picker says, pauses after one more, and loses nothing of what it says.

The policies share one lab session and the losses: a disk of each tier, then another one that holds the same pieces.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from storage.models import Datastore
from storage.redundancy import MODES, Mode
from tests.lab.ceph import ceph, rbd
from tests.lab.chunks import active, groups_of, read, together, until, write
from tests.lab.storage_panel import StoragePanel

pytestmark = pytest.mark.lab

# Tier 1 has two disks on each of three hosts; tier 2 has one on each, so that a disk is all that a host has of it.
POLICIES = (("r2", 2, "host"), ("ec1-2", 2, "host"), ("r3", 1, "osd"), ("ec3-2", 1, "osd"))
MIB = 8
AT_ONCE = 60  # seconds for a read on a busy machine: nothing heals in this test, so one that waits waits for ever


@dataclass(frozen=True)
class Kept:
    """A datastore with an image in it, and the SHA-256 of what was written."""

    mode: Mode
    datastore: Datastore
    written: str

    @property
    def image(self) -> str:
        return f"{self.datastore.pool}/proof"


@pytest.fixture
def kept(storage_panel: StoragePanel) -> Iterator[list[Kept]]:
    made: list[Kept] = []
    for key, tier, domain in POLICIES:
        datastore = storage_panel.create(key, tier=tier, mode=key, domain=domain)
        made.append(Kept(MODES[key], datastore, write(storage_panel.lab, f"{datastore.pool}/proof", MIB)))
    for each in made:  # new groups agree one after another
        until(storage_panel.lab, each.datastore.data_pool, lambda found, each=each: filled(found, each.mode), 60)
    yield made
    for each in made:
        rbd(storage_panel.lab, "rm", "--no-progress", each.image)
        storage_panel.remove(each.datastore)


def filled(groups: list[dict[str, Any]], mode: Mode) -> bool:
    return all(active(group) and len(group["disks"]) == mode.needs for group in groups)


def test_it_serves_pauses_and_comes_back_as_promised(storage_panel: StoragePanel, kept: list[Kept]) -> None:
    lab = storage_panel.lab
    assert [(each.mode.keeps_serving_after, each.mode.loses_nothing_after) for each in kept] == [
        (1, 1),
        (1, 2),
        (1, 2),
        (1, 2),
    ]
    lost = {tier: pair(storage_panel, [each for each in kept if each.datastore.tier == tier]) for tier in (1, 2)}
    with nothing_heals(storage_panel), all_back(storage_panel, [disk for two in lost.values() for disk in two]):
        for first, _ in lost.values():
            lab.run("disk-off", str(first))
        for each in kept:
            assert read(lab, each.image, AT_ONCE) == each.written, f"{each.mode} after one loss"

        for _, second in lost.values():
            lab.run("disk-off", str(second))
        for each in kept:
            if each.mode.loses_nothing_after > each.mode.keeps_serving_after:
                until(lab, each.datastore.data_pool, lambda found: not all(map(active, found)), 60)
    for each in kept:
        assert read(lab, each.image) == each.written, f"{each.mode} after all came back"


def pair(panel: StoragePanel, kept: list[Kept]) -> tuple[int, int]:
    """Two disks that hold parts of the same pieces, in each of the pools that are to lose nothing without them."""
    pools = [each.datastore.data_pool for each in kept if each.mode.loses_nothing_after == 2]
    first, second = together(2, *(groups_of(panel.lab, pool) for pool in pools))
    return first, second


@contextmanager
def nothing_heals(panel: StoragePanel) -> Iterator[None]:
    """The losses stay as they are: what is made again elsewhere would not count as lost."""
    ceph(panel.lab, "osd", "set", "noout")
    try:
        yield
    finally:
        ceph(panel.lab, "osd", "unset", "noout")


@contextmanager
def all_back(panel: StoragePanel, disks: list[int]) -> Iterator[None]:
    try:
        yield
    finally:
        for disk in disks:
            panel.lab.run("disk-on", str(disk))
