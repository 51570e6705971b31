"""Where data of a tier can lie: the failure domains that have a disk of it in use, and the space in each. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.drivers.facts import Bucket, ClusterFacts, DiskFacts

ROOT = "default"  # the root that the panel's rules start from


@dataclass(frozen=True, slots=True)
class Place:
    """A failure domain with its disks of one tier. Sizes are bytes."""

    name: str
    disks: tuple[DiskFacts, ...]

    @property
    def size(self) -> int:
        return sum(disk.size for disk in self.disks)

    @property
    def used(self) -> int:
        return sum(disk.used for disk in self.disks)

    def left(self, mark: float) -> int:
        """Bytes that can be written until each of its disks is full to the mark (0 to 1)."""
        return sum(max(0, int(disk.size * mark) - disk.used) for disk in self.disks)


class Topology:
    """The CRUSH map below the default root, as far as placing data goes."""

    def __init__(self, facts: ClusterFacts) -> None:
        self.disks = facts.disks
        # Ceph keeps a shadow of the tree for each device class, named "default~tier2".
        real = [bucket for bucket in facts.buckets if "~" not in bucket.name]
        self._parents: dict[int, Bucket] = {child: bucket for bucket in real for child in bucket.children}

    def place_of(self, disk: DiskFacts, domain: str) -> str | None:
        """The name of the domain that the disk lies in; None when it lies in none below the default root."""
        found = f"CS{disk.id}" if domain == "osd" else None
        at = self._parents.get(disk.id)
        while at is not None:
            if at.type == domain:
                found = at.name
            if at.type == "root":
                return found if at.name == ROOT else None
            at = self._parents.get(at.id)
        return None

    def places(self, tier: int, domain: str) -> tuple[Place, ...]:
        """The domains that can take data of the tier now: with a disk that is up, in and has weight; by name."""
        return self._grouped((disk for disk in self.disks if disk.tier == tier and takes_data(disk)), domain)

    def installed(self, tier: int, domain: str) -> int:
        """How many domains have a disk of the tier at all, in use or not."""
        return len(self._grouped((disk for disk in self.disks if disk.tier == tier), domain))

    def _grouped(self, disks: Iterable[DiskFacts], domain: str) -> tuple[Place, ...]:
        groups: dict[str, list[DiskFacts]] = {}
        for disk in sorted(disks, key=lambda each: each.id):
            if (name := self.place_of(disk, domain)) is not None:
                groups.setdefault(name, []).append(disk)
        names = groups if domain == "osd" else sorted(groups)
        return tuple(Place(name, tuple(groups[name])) for name in names)


def takes_data(disk: DiskFacts) -> bool:
    """Whether CRUSH places data on the disk now."""
    return disk.up and disk.taken and disk.crush_weight > 0 and disk.reweight > 0
