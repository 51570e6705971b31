"""What the panel asks of a storage cluster, by concern.

Every call raises a DriverError of infrastructure.drivers.errors (component "ceph"): Unreachable or TimedOut when there
is no answer within the deadline, Refused when cephx or a capability says no, NotFound, Conflict, NotSupported. A call
whose effect is there already returns False and does nothing, so that every step may be repeated.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.drivers.facts import ClusterFacts, FilesystemFacts, PoolFacts, Profile, Ratios, Rule
from storage.drivers.imaging import ImageKeeper
from storage.drivers.placing import Location


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. The key is a secret: it is in no repr and no message."""

    name: str  # the panel's name of it, for messages
    fsid: str
    monitors: tuple[str, ...]  # "10.0.0.11:3300", as in mon_host
    user: str  # "mooring", without "client."
    key: str
    # Another moment is another session: Ceph gives an open one no new capabilities, nor those of a new key.
    connected_at: datetime | None = None

    def succeeds(self, old: "Access") -> bool:
        """Whether this is the same cluster, connected again since."""
        if self.fsid != old.fsid or self.connected_at is None:
            return False
        return old.connected_at is None or old.connected_at < self.connected_at

    def __repr__(self) -> str:
        return f"Access({self.name!r}, fsid={self.fsid!r}, monitors={self.monitors!r}, user={self.user!r})"


class ClusterObserver(Protocol):
    """Looking."""

    def look(self) -> ClusterFacts:
        """Everything the pages show, in one round of commands. Without a manager its part is told as unknown."""
        ...


class PoolKeeper(Protocol):
    """Rules, profiles and pools. What exists under the name but differs is somebody else's: Conflict, never changed.

    Names of what the panel makes begin with matching.OWN ("mooring-"): its cephx user may make and remove no others.
    """

    def pools(self) -> tuple[PoolFacts, ...]: ...

    def rules(self) -> tuple[Rule, ...]: ...

    def profiles(self) -> tuple[Profile, ...]: ...

    def make_rule(self, name: str, *, device_class: str, domain: str) -> bool:
        """A rule for copies on disks of the class, no two in one domain. False when it is there already."""
        ...

    def make_profile(self, profile: Profile) -> bool:
        """An erasure-code profile. False when the very same is there already."""
        ...

    def make_replicated_pool(self, name: str, *, size: int, rule: str, application: str, marks: dict[str, str]) -> bool:
        """A pool of copies with the application enabled and its metadata set to the marks (key → value).

        One of the keys is matching.MARK ("mooring"). Repeats what is missing of an earlier, interrupted call.
        min_size is 1 for sizes 1 and 2, else 2.
        """
        ...

    def make_coded_pool(self, name: str, *, profile: Profile, application: str, marks: dict[str, str]) -> bool:
        """An erasure-coded pool that allows overwrites; its rule gets the pool's name. min_size is k+1, k without m."""
        ...

    def remove_pool(self, name: str, *, marks: dict[str, str]) -> bool:
        """Remove a pool that carries the marks, and its own rule; Conflict when it does not carry them."""
        ...

    def remove_rule(self, name: str) -> bool:
        """Remove a rule; Conflict while a pool uses it."""
        ...

    def remove_profile(self, name: str) -> bool:
        """Remove a profile; Conflict while a pool uses it."""
        ...

    def set_default_data_pool(self, pool: str, data_pool: str) -> bool:
        """New RBD images of the pool keep their data in the other one (rbd_default_data_pool)."""
        ...

    def images(self, pool: str) -> tuple[str, ...]:
        """Names of the RBD images in a pool that the panel made, those in its trash included with the prefix "trash/".

        A coded pool has none: it holds their data, and their names are in the pool of which it is the data pool.
        Refused for other pools.
        """
        ...


class DiskKeeper(Protocol):
    """Disks: their tier, and taking them out."""

    def set_device_class(self, disk: int, device_class: str) -> bool:
        """Give the disk another device class; Ceph moves the data by itself."""
        ...

    def set_taken(self, disk: int, *, taken: bool) -> bool:
        """Place data on it (in), or move its data elsewhere (out)."""
        ...

    def may_destroy(self, disk: int) -> bool:
        """Whether no data would be lost or short of copies without the disk (osd safe-to-destroy)."""
        ...

    def purge(self, disk: int) -> bool:
        """Remove a disk that is down from the CRUSH map, the keys and the map of disks."""
        ...


class DiskMaker(Protocol):
    """New disks."""

    def make_disk(self, uuid: str, key: str) -> int:
        """Give a new disk a number, and its key (cephx, a secret) to the cluster; the number."""
        ...

    def place_disk(self, disk: int, *, host: str, weight: float) -> bool:
        """Put a disk below a CRUSH host, which is made below the root if need be. False when it lies there already."""
        ...


class HostPlacer(Protocol):
    """Where hosts lie in the map below the default root."""

    def locate_host(self, host: str, location: Location, *, along: Mapping[str, Location] | None = None) -> bool:
        """Move a host there, with its data; () is the root itself. Rooms, rows and racks that are missing are made.

        A rack that lies elsewhere goes as a whole when every host in it goes there, too, as `along` (host → where)
        says. Raises NotFound, Refused for a name that the map cannot have, Conflict when a name is another's.
        """
        ...

    def remove_places(self, names: Iterable[str]) -> tuple[str, ...]:
        """Remove those rooms, rows and racks that are empty; the names of what was removed."""
        ...


class FileKeeper(Protocol):
    """The file system `matching.FILESYSTEM` with a directory for each datastore for files, `matching.directory_of`.

    Directories are read and changed through an active metadata server: without one these calls are refused.
    """

    def filesystem(self) -> FilesystemFacts | None:
        """The panel's file system; None while there is none. Conflict when somebody else's has its name."""
        ...

    def make_filesystem(self) -> bool:
        """Make it of the pools FILES_METADATA and FILES_ROOT, which are there. A server takes it up afterwards."""
        ...

    def remove_filesystem(self) -> bool:
        """Stop its metadata servers and remove it; its pools stay. Conflict while it has a datastore's data pool."""
        ...

    def add_data_pool(self, pool: str) -> bool:
        """Let directories keep their data in a pool of the panel's."""
        ...

    def remove_data_pool(self, pool: str) -> bool:
        """Take a data pool from the file system; whatever lies in it is lost to it. False when it has it not."""
        ...

    def make_directory(self, name: str, *, pool: str) -> bool:
        """A datastore's directory, which root alone may change, whose files lie in the pool.

        Conflict when it is there, not empty, and keeps its data elsewhere.
        """
        ...

    def entries(self, name: str) -> tuple[str, ...] | None:
        """What lies in a datastore's directory, by name, the first 1,000; None when there is no such directory."""
        ...

    def remove_directory(self, name: str) -> bool:
        """Remove a datastore's directory; Conflict unless it is empty."""
        ...


class SettingsKeeper(Protocol):
    """What is set for all disks."""

    def set_options(self, options: Mapping[str, str | None]) -> bool:
        """Set RECOVERY_OPTIONS, by name; None takes one back to Ceph's default. False when all are so already."""
        ...

    def set_marks(self, ratios: Ratios) -> bool:
        """Set from where on disks count as near-full, too full to backfill, and full. False when it is so already."""
        ...


class StorageCluster(
    ClusterObserver, PoolKeeper, ImageKeeper, FileKeeper, DiskKeeper, DiskMaker, HostPlacer, SettingsKeeper, Protocol
):
    """A storage cluster."""

    def close(self) -> None:
        """Let go of the connection, without waiting for a monitor that does not answer."""
        ...
