"""Which part of the lab's storage lives where: monitors, managers and MDS by node, OSDs and tiers by number."""

from dataclasses import dataclass

from lab.errors import LabError
from lab.instance import NODE_NAMES, StorageChoice

MONITORS = NODE_NAMES
MANAGERS = ("primary", "secondnode1")
METADATA_SERVERS = ("primary", "secondnode2")
DEFAULT_DISKS, FEWEST_DISKS, MOST_DISKS = 3, 3, 7
TIERS = range(4)
DISK_BYTES = 4 << 30


@dataclass(frozen=True)
class Osd:
    """An OSD as the lab makes it: its number, its node, its disk there (from 0) and its CRUSH device class."""

    number: int
    node: str
    disk: int
    tier: str

    @property
    def name(self) -> str:
        return f"osd.{self.number}"


def choose(kept: StorageChoice | None, *, disks: int | None, one_tier: int | None) -> StorageChoice:
    """The choice that holds: the kept one, with more disks if so wished, or a new one.

    Raises LabError for numbers out of range, and for a wish that a kept cluster cannot follow.
    """
    if disks is not None and not FEWEST_DISKS <= disks <= MOST_DISKS:
        raise LabError(f"--disks {disks}: a node has {FEWEST_DISKS} to {MOST_DISKS} disks")
    if one_tier is not None and one_tier not in TIERS:
        raise LabError(f"--one-tier {one_tier}: tiers are {TIERS[0]} to {TIERS[-1]}")
    if kept is None:
        return StorageChoice(disks or DEFAULT_DISKS, one_tier)
    if disks is not None and disks < kept.disks:
        raise LabError(
            f"the lab's storage has {kept.disks} disks a node: {disks} would take some away."
            " Purge the lab to begin with fewer: bin/lab down --purge"
        )
    if one_tier is not None and one_tier != kept.one_tier:
        had = "two tiers" if kept.one_tier is None else f"all disks in tier {kept.one_tier}"
        raise LabError(f"the lab's storage has {had}. Purge the lab to begin with others: bin/lab down --purge")
    return StorageChoice(disks or kept.disks, kept.one_tier)


def osds(choice: StorageChoice) -> list[Osd]:
    """Every OSD of the lab by number: 0, 1, 2 are the first disk of each node, 3, 4, 5 the second."""
    return [
        Osd(disk * len(NODE_NAMES) + index, node, disk, _tier(disk, choice))
        for disk in range(choice.disks)
        for index, node in enumerate(NODE_NAMES)
    ]


def osd(number: int, choice: StorageChoice | None) -> Osd:
    """The OSD of this number. Raises LabError when the lab has none."""
    every = osds(choice) if choice else []
    if number not in range(len(every)):
        known = f"0 to {len(every) - 1}" if every else "none before the first up"
        raise LabError(f"the lab has no disk {number}: its disks are {known}")
    return every[number]


def _tier(disk: int, choice: StorageChoice) -> str:
    if choice.one_tier is not None:
        return f"tier{choice.one_tier}"
    return "tier1" if disk < (choice.disks + 1) // 2 else "tier2"
