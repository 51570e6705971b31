"""Chunks (placement groups) of a pool on the lab's Ceph, and an image whose content is known."""

import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

from tests.lab.ceph import told
from tests.lab.conftest import RunningLab

NONE = 2147483647  # Ceph's word for no disk in an acting set
Groups = list[dict[str, Any]]


def groups_of(lab: RunningLab, pool: str) -> Groups:
    """Its placement groups: state, and acting disks without holes."""
    found = told(lab, "pg", "ls-by-pool", pool)["pg_stats"]
    return [{"state": row["state"], "disks": [disk for disk in row["acting"] if disk != NONE]} for row in found]


def active(group: dict[str, Any]) -> bool:
    return "active" in group["state"].split("+")


def together(number: int, *pools: Groups) -> tuple[int, ...]:
    """So many disks of which each pool has a group that has all, and as many groups as possible have not.

    The disks of one group lie in different failure domains.
    """
    disks = sorted({disk for group in pools[0] for disk in group["disks"]})

    def hit(some: tuple[int, ...]) -> list[int]:
        return [sum(set(some) <= set(group["disks"]) for group in pool) for pool in pools]

    return min((some for some in combinations(disks, number) if all(hit(some))), key=lambda some: sum(hit(some)))


def until(lab: RunningLab, pool: str, wanted: Callable[[Groups], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not wanted(groups := groups_of(lab, pool)):
        assert time.monotonic() < end, groups
        time.sleep(0.5)


def write(lab: RunningLab, image: str, mib: int) -> str:
    """A new image with random content; its SHA-256."""
    script = (
        f"head -c {mib}M /dev/urandom >/tmp/proof; rbd import --no-progress /tmp/proof {image}; sha256sum </tmp/proof"
    )
    return lab.exec("primary", "sh", "-c", script).split()[0]


def read(lab: RunningLab, image: str, seconds: int = 120) -> str:
    """The SHA-256 of what is read, in time or not at all."""
    script = f"timeout {seconds} rbd export --no-progress {image} - | sha256sum"
    return lab.exec("primary", "sh", "-c", script).split()[0]
