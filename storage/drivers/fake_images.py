"""The images of LUNs of the FakeCluster."""

from collections.abc import Collection
from datetime import UTC, datetime

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from storage.drivers.fake_pools import FakePools
from storage.drivers.imaging import ImageLimits, SnapshotFacts

Key = tuple[str, str]  # pool, image


class FakeImages(FakePools):
    """ImageKeeper in memory. `opened`: images that somebody has open; what is known of each is by pool and image."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[Key, int] = {}
        self.data_of: dict[Key, str] = {}
        self.limits: dict[Key, ImageLimits] = {}
        self.snapshots_of: dict[Key, list[SnapshotFacts]] = {}
        self.opened: set[Key] = set()
        self.watchers: dict[Key, list[str]] = {}  # who has it open, "192.0.2.11:0/7"
        self.blocklist: list[str] = []
        self.rolled_back: list[tuple[str, str]] = []  # image, snapshot

    def make_image(self, pool: str, image: str, *, size: int, data_pool: str = "") -> bool:
        self._enter("make_image")
        self._require_pool(pool)
        if image in self.images_by_pool[pool]:
            if self.sizes[pool, image] != size:
                raise Conflict(f"There is an image {pool}/{image} already", code="image-differs", component="ceph")
            return False
        self.images_by_pool[pool].append(image)
        self.sizes[pool, image], self.data_of[pool, image] = size, data_pool or pool
        return True

    def remove_image(self, pool: str, image: str) -> bool:
        self._enter("remove_image")
        if image not in self.images_by_pool.get(pool, ()):
            return False
        if self.snapshots_of.get((pool, image)) or (pool, image) in self.opened:
            raise Conflict(f"{pool}/{image} is in use", code="image-busy", component="ceph", retryable=True)
        self.images_by_pool[pool].remove(image)
        for known in (self.sizes, self.data_of, self.limits, self.snapshots_of):
            known.pop((pool, image), None)
        return True

    def resize_image(self, pool: str, image: str, size: int) -> bool:
        self._enter("resize_image")
        now = self.image_size(pool, image)
        if size < now:
            raise Refused(f"{pool}/{image} cannot shrink", code="shrink", component="ceph")
        self.sizes[pool, image] = size
        return size != now

    def image_size(self, pool: str, image: str) -> int:
        if (pool, image) not in self.sizes:
            raise NotFound(f"There is no image {pool}/{image}", code="no-image", component="ceph")
        return self.sizes[pool, image]

    def snapshots(self, pool: str, image: str) -> tuple[SnapshotFacts, ...]:
        self._enter("snapshots")
        self.image_size(pool, image)
        return tuple(self.snapshots_of.get((pool, image), ()))

    def take_snapshot(self, pool: str, image: str, name: str) -> bool:
        self._enter("take_snapshot")
        size, known = self.image_size(pool, image), self.snapshots_of.setdefault((pool, image), [])
        if any(each.name == name for each in known):
            return False
        known.append(SnapshotFacts(name, size, datetime.now(UTC)))
        return True

    def remove_snapshot(self, pool: str, image: str, name: str) -> bool:
        self._enter("remove_snapshot")
        self.image_size(pool, image)
        known = self.snapshots_of.get((pool, image), [])
        left = [each for each in known if each.name != name]
        self.snapshots_of[pool, image] = left
        return len(left) != len(known)

    def roll_back(self, pool: str, image: str, name: str) -> None:
        self._enter("roll_back")
        found = next((each for each in self.snapshots_of.get((pool, image), ()) if each.name == name), None)
        if found is None:
            raise NotFound(f"{pool}/{image} has no snapshot {name}", code="no-snapshot", component="ceph")
        if (pool, image) in self.opened:
            raise Conflict(f"{pool}/{image} is in use", code="image-busy", component="ceph", retryable=True)
        self.sizes[pool, image] = found.size
        self.rolled_back.append((image, name))

    def limit_image(self, pool: str, image: str, limits: ImageLimits) -> bool:
        self._enter("limit_image")
        self.image_size(pool, image)
        before = self.limits.get((pool, image), ImageLimits())
        self.limits[pool, image] = limits
        return before != limits

    def free_image(self, pool: str, image: str) -> bool:
        self._enter("free_image")
        self.image_size(pool, image)
        there = (pool, image) in self.opened
        self.opened.discard((pool, image))
        return there

    def shut_out(self, pool: str, image: str, hosts: Collection[str]) -> tuple[str, ...]:
        self._enter("shut_out")
        self.image_size(pool, image)
        watchers = self.watchers.get((pool, image), [])
        if others := [each for each in watchers if each.partition(":")[0] not in hosts]:
            raise Conflict(f"{pool}/{image} is open at {others}", code="image-busy", component="ceph", retryable=True)
        self.blocklist += watchers
        self.watchers.pop((pool, image), None)
        return tuple(watchers)
