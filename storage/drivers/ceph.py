"""The StorageCluster on a real Ceph, over librados, librbd and libcephfs."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from infrastructure.drivers.base import remaining
from storage.drivers import ceph_disks, ceph_new_disk, ceph_places, ceph_pools, ceph_settings
from storage.drivers.base import Access
from storage.drivers.ceph_connection import Connection
from storage.drivers.ceph_crush import crush
from storage.drivers.ceph_files import Files
from storage.drivers.ceph_images import Images
from storage.drivers.ceph_keeping import Keeping
from storage.drivers.ceph_look import LOOK_SECONDS, Looker
from storage.drivers.ceph_round import Round
from storage.drivers.facts import ClusterFacts, FilesystemFacts, PoolFacts, Profile, Ratios, Rule
from storage.drivers.imaging import ImageLimits, SnapshotFacts
from storage.drivers.placing import Location

T = TypeVar("T")
CHANGE_SECONDS = 20.0
# What goes through all the objects of an image.
LONG_SECONDS = 3600.0


class CephCluster:
    """One cluster. Nothing is opened before the first call; safe from any thread; see storage.drivers.base."""

    def __init__(self, access: Access) -> None:
        self._connection = Connection(access)
        self._looker = Looker(self._connection)

    def look(self) -> ClusterFacts:
        return self._looker.look()

    def pools(self) -> tuple[PoolFacts, ...]:
        def ask(round_: Round) -> tuple[PoolFacts, ...]:
            osd_dump, df = round_.ask_one("osd dump"), round_.ask_one("df", detail="detail")
            return ceph_pools.pools(osd_dump, df, crush(round_.ask_one("osd crush dump")))

        return self._ask(ask, "list its pools")

    def rules(self) -> tuple[Rule, ...]:
        return self._ask(lambda round_: crush(round_.ask_one("osd crush dump")).rules, "list its rules")

    def profiles(self) -> tuple[Profile, ...]:
        return self._ask(lambda round_: ceph_pools.profiles(round_.ask_one("osd dump")), "list its profiles")

    def make_rule(self, name: str, *, device_class: str, domain: str) -> bool:
        return self._keep(
            lambda keeping: keeping.make_rule(name, device_class=device_class, domain=domain), f"make the rule {name}"
        )

    def make_profile(self, profile: Profile) -> bool:
        return self._keep(lambda keeping: keeping.make_profile(profile), f"make the profile {profile.name}")

    def make_replicated_pool(self, name: str, *, size: int, rule: str, application: str, marks: dict[str, str]) -> bool:
        return self._keep(
            lambda keeping: keeping.make_replicated_pool(
                name, size=size, rule=rule, application=application, marks=marks
            ),
            f"make the pool {name}",
        )

    def make_coded_pool(self, name: str, *, profile: Profile, application: str, marks: dict[str, str]) -> bool:
        return self._keep(
            lambda keeping: keeping.make_coded_pool(name, profile=profile, application=application, marks=marks),
            f"make the pool {name}",
        )

    def remove_pool(self, name: str, *, marks: dict[str, str]) -> bool:
        return self._keep(lambda keeping: keeping.remove_pool(name, marks=marks), f"remove the pool {name}")

    def remove_rule(self, name: str) -> bool:
        return self._keep(lambda keeping: keeping.remove_rule(name), f"remove the rule {name}")

    def remove_profile(self, name: str) -> bool:
        return self._keep(lambda keeping: keeping.remove_profile(name), f"remove the profile {name}")

    def set_default_data_pool(self, pool: str, data_pool: str) -> bool:
        return self._keep(
            lambda keeping: keeping.set_default_data_pool(pool, data_pool),
            f"set where images of {pool} keep their data",
        )

    def images(self, pool: str) -> tuple[str, ...]:
        return self._keep(lambda keeping: keeping.images(pool), f"list the images of {pool}")

    def make_image(self, pool: str, image: str, *, size: int, data_pool: str = "") -> bool:
        return self._image(
            lambda images: images.make(pool, image, size, data_pool or pool), f"make the image {pool}/{image}"
        )

    def remove_image(self, pool: str, image: str) -> bool:
        doing = f"remove the image {pool}/{image}"
        return self._image(lambda images: images.remove(pool, image), doing, LONG_SECONDS)

    def resize_image(self, pool: str, image: str, size: int) -> bool:
        return self._image(lambda images: images.resize(pool, image, size), f"resize the image {pool}/{image}")

    def image_size(self, pool: str, image: str) -> int:
        return self._image(lambda images: images.size(pool, image), f"look at the image {pool}/{image}")

    def snapshots(self, pool: str, image: str) -> tuple[SnapshotFacts, ...]:
        return self._image(lambda images: images.snapshots(pool, image), f"list the snapshots of {pool}/{image}")

    def take_snapshot(self, pool: str, image: str, name: str) -> bool:
        return self._image(lambda images: images.take_snapshot(pool, image, name), f"take a snapshot of {pool}/{image}")

    def remove_snapshot(self, pool: str, image: str, name: str) -> bool:
        doing = f"remove a snapshot of {pool}/{image}"
        return self._image(lambda images: images.remove_snapshot(pool, image, name), doing, LONG_SECONDS)

    def roll_back(self, pool: str, image: str, name: str) -> None:
        doing = f"roll {pool}/{image} back"
        return self._image(lambda images: images.roll_back(pool, image, name), doing, LONG_SECONDS)

    def limit_image(self, pool: str, image: str, limits: ImageLimits) -> bool:
        return self._image(lambda images: images.limit(pool, image, limits), f"limit the image {pool}/{image}")

    def free_image(self, pool: str, image: str) -> bool:
        return self._image(lambda images: images.free(pool, image), f"free the image {pool}/{image}")

    def shut_out(self, pool: str, image: str, hosts: Collection[str]) -> tuple[str, ...]:
        doing = f"shut others out of {pool}/{image}"
        return self._image(lambda images: images.shut_out(pool, image, hosts), doing)

    def filesystem(self) -> FilesystemFacts | None:
        return self._ask(lambda round_: Files(round_).filesystem(), "describe its file system")

    def make_filesystem(self) -> bool:
        return self._file(Files.make, "make a file system")

    def remove_filesystem(self) -> bool:
        return self._file(Files.remove, "remove its file system")

    def add_data_pool(self, pool: str) -> bool:
        return self._file(lambda files: files.add_data_pool(pool), f"give its file system the pool {pool}")

    def remove_data_pool(self, pool: str) -> bool:
        return self._file(lambda files: files.remove_data_pool(pool), f"take the pool {pool} from its file system")

    def make_directory(self, name: str, *, pool: str) -> bool:
        return self._file(lambda files: files.make_directory(name, pool=pool), f"make the directory {name}")

    def entries(self, name: str) -> tuple[str, ...] | None:
        return self._file(lambda files: files.entries(name), f"list the directory {name}")

    def remove_directory(self, name: str) -> bool:
        return self._file(lambda files: files.remove_directory(name), f"remove the directory {name}")

    def set_device_class(self, disk: int, device_class: str) -> bool:
        return self._change(
            lambda round_: ceph_disks.set_device_class(round_, disk, device_class), f"change the class of disk {disk}"
        )

    def set_taken(self, disk: int, *, taken: bool) -> bool:
        doing = f"take disk {disk} in" if taken else f"take disk {disk} out"
        return self._change(lambda round_: ceph_disks.set_taken(round_, disk, taken=taken), doing)

    def may_destroy(self, disk: int) -> bool:
        return self._ask(
            lambda round_: ceph_disks.may_destroy(round_, disk), f"tell whether disk {disk} can be removed"
        )

    def purge(self, disk: int) -> bool:
        return self._change(lambda round_: ceph_disks.purge(round_, disk), f"remove disk {disk}")

    def make_disk(self, uuid: str, key: str) -> int:
        return self._change(lambda round_: ceph_new_disk.make(round_, uuid, key), "take a new disk")

    def place_disk(self, disk: int, *, host: str, weight: float) -> bool:
        return self._change(
            lambda round_: ceph_new_disk.place(round_, disk, host=host, weight=weight), f"place disk {disk}"
        )

    def locate_host(self, host: str, location: Location, *, along: Mapping[str, Location] | None = None) -> bool:
        return self._change(lambda round_: ceph_places.locate(round_, host, location, along), f"move the host {host}")

    def remove_places(self, names: Iterable[str]) -> tuple[str, ...]:
        return self._change(lambda round_: ceph_places.remove_empty(round_, names), "remove empty places of its map")

    def set_options(self, options: Mapping[str, str | None]) -> bool:
        return self._change(lambda round_: ceph_settings.set_options(round_, options), "set recovery options")

    def set_marks(self, ratios: Ratios) -> bool:
        return self._change(lambda round_: ceph_settings.set_marks(round_, ratios), "set its fill marks")

    def close(self) -> None:
        self._connection.close()

    def _ask(self, fn: Callable[[Round], T], doing: str, seconds: float = LOOK_SECONDS) -> T:
        name, until = self._connection.access.name, time.monotonic() + remaining(seconds)
        return self._connection.run(lambda handle: fn(Round(handle, name, until)), seconds=seconds, doing=doing)

    def _change(self, fn: Callable[[Round], T], doing: str) -> T:
        return self._ask(fn, doing, CHANGE_SECONDS)

    def _image(self, fn: Callable[[Images], T], doing: str, seconds: float = CHANGE_SECONDS) -> T:
        return self._ask(lambda round_: fn(Images(round_)), doing, seconds)

    def _file(self, fn: Callable[[Files], T], doing: str) -> T:
        return self._change(lambda round_: fn(Files(round_)), doing)

    def _keep(self, fn: Callable[[Keeping], T], doing: str) -> T:
        return self._change(lambda round_: fn(Keeping(round_)), doing)
