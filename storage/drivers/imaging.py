"""What the panel asks of images of LUNs, and what a cluster tells of them. Sizes in bytes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Longer than any node is away that somebody went on without; Ceph itself would forgive after an hour.
SHUT_OUT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What all who open an image may do each second: operations and bytes; 0 is no limit."""

    iops: int = 0
    bps: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """A snapshot of an image; `size` is what the image had then."""

    name: str
    size: int
    taken_at: datetime | None = None


class ImageKeeper(Protocol):
    """Images in pools that the panel made. Idempotent like all of StorageCluster: what is so already returns False.

    NotFound without the pool or, but for `make_image` and `remove_image`, without the image.
    """

    def make_image(self, pool: str, image: str, *, size: int, data_pool: str = "") -> bool:
        """An image that keeps its data in `data_pool`, "" or the same: in the pool itself.

        Conflict when one of that name is there with another size. Repeats what is missing of an interrupted call.
        """
        ...

    def remove_image(self, pool: str, image: str) -> bool:
        """Remove it; Conflict while it has snapshots or somebody has it open."""
        ...

    def resize_image(self, pool: str, image: str, size: int) -> bool:
        """Make it larger; who has it open learns of it. Refused for a smaller size."""
        ...

    def image_size(self, pool: str, image: str) -> int: ...

    def snapshots(self, pool: str, image: str) -> tuple[SnapshotFacts, ...]:
        """The oldest first."""
        ...

    def take_snapshot(self, pool: str, image: str, name: str) -> bool: ...

    def remove_snapshot(self, pool: str, image: str, name: str) -> bool: ...

    def roll_back(self, pool: str, image: str, name: str) -> None:
        """Make it what it was at the snapshot, its size included; may be repeated. Conflict while it is open."""
        ...

    def limit_image(self, pool: str, image: str, limits: ImageLimits) -> bool:
        """Limit what is done to it, by whomever; counts at once, for those that have it open as well."""
        ...

    def free_image(self, pool: str, image: str) -> bool:
        """Take it from whoever holds it for writing, who can write nothing to the cluster any more (a fence).

        For one whose opener died or cannot be reached: the next one would wait half a minute for it. Only while nobody
        has it open rightly. False when nobody holds it.
        """
        ...

    def shut_out(self, pool: str, image: str, hosts: Collection[str]) -> tuple[str, ...]:
        """Have the cluster refuse all from now on whoever has the image open from one of these IP addresses (a fence).

        For a host that cannot be reached and may still write. Returns who, as "address:port/nonce". Conflict, with
        nobody shut out, while somebody else has it open. Who does not answer the cluster either is seen for half a
        minute; after that only `free_image` stands between it and the image.
        """
        ...
