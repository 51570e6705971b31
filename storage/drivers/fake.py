"""A StorageCluster in memory, for faults and timings that no engine can be made to show; it passes the contract suite.

``cluster()`` makes a usual one. Tests change what it tells by its attributes (``health``, ``checks``, ``daemons``,
``flow``, ``ratios``, ``flags``, ``groups``, ``manager_answers``) and by ``stop``, ``start``, ``fill``, ``settle``.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Unreachable
from storage.drivers.facts import (
    Bucket,
    ClusterFacts,
    Daemon,
    DiskFacts,
    Event,
    Flow,
    Groups,
    HealthCheck,
    PoolFacts,
    Space,
)
from storage.drivers.fake_files import FakeFiles
from storage.drivers.fake_places import FakePlaces

GIB = 1 << 30
FSID = "5f1d0000-0000-4000-8000-000000000001"
HOSTS = ("primary", "secondnode1", "secondnode2")


class FakeCluster(FakeFiles, FakePlaces):
    """One cluster. ``disks`` and ``buckets`` are by id; everything may be set by a test."""

    def __init__(self) -> None:
        super().__init__()
        self.fsid = FSID
        self.version = "16.2.15"
        self.health = "HEALTH_OK"
        self.checks: tuple[HealthCheck, ...] = ()
        self.daemons: tuple[Daemon, ...] = ()
        self.disks: dict[int, DiskFacts] = {}
        self.groups: Groups | None = None  # None: all of them active and clean
        self.flow = Flow()
        self.flags: tuple[str, ...] = ()
        self.events: tuple[Event, ...] | None = ()
        self.manager_answers = True
        self.closed = False
        self.keys: dict[int, str] = {}  # of disks that were made here

    # Making it what a test needs

    def add_bucket(self, name: str, kind: str, *, under: str = "default") -> Bucket:
        """A host, rack, row or room in the bucket of that name; the one there is when it exists."""
        for bucket in self.buckets.values():
            if bucket.name == name:
                return bucket
        made = Bucket(min(self.buckets) - 1, name, kind)
        self.buckets[made.id] = made
        self._put(made.id, under)
        return made

    def add_disk(self, host: str, device_class: str = "tier1", *, size: int = 4 * GIB, used: int = GIB) -> DiskFacts:
        """A disk that is up and in, in the host of that name."""
        number = 1 + max(self.disks, default=-1)
        disk = DiskFacts(
            number,
            str(UUID(int=number + 1)),
            device_class,
            host,
            up=True,
            taken=True,
            crush_weight=size / (1 << 40),
            reweight=1.0,
            size=size,
            used=used,
            groups=8,
            commit_ms=1.0,
            device=f"sd{chr(ord('b') + number % 20)}",
            rotational=device_class in ("tier0", "tier1", "hdd"),
            version=self.version,
        )
        self.disks[number] = disk
        self._put(number, host)
        return disk

    def _put(self, child: int, under: str) -> None:
        for bucket in self.buckets.values():
            if bucket.name == under:
                self.buckets[bucket.id] = replace(bucket, children=(*bucket.children, child))
                return
        raise ValueError(f"no bucket {under}")

    def change(self, disk: int, **facts: object) -> None:
        """Set facts of a disk: ``change(3, up=False, used=0)``."""
        changed = replace(self.disks[disk], **facts)  # type: ignore[arg-type]
        self.disks[disk] = replace(changed, new=changed.new and not changed.taken)

    def stop(self, *disks: int) -> None:
        for disk in disks:
            self.change(disk, up=False)

    def start(self, *disks: int) -> None:
        for disk in disks:
            self.change(disk, up=True)

    def fill(self, ratio: float) -> None:
        """Every disk is as full as this (0 to 1)."""
        for disk in tuple(self.disks.values()):
            self.change(disk.id, used=int(disk.size * ratio))

    def settle(self) -> None:
        """Let the data that is on its way arrive: nothing is left on disks that are out."""
        for disk in tuple(self.disks.values()):
            if not disk.taken:
                self.change(disk.id, used=0, groups=0)

    # ClusterObserver

    def look(self) -> ClusterFacts:
        self._enter("look")
        classes = sorted({disk.device_class for disk in self.disks.values()})
        return ClusterFacts(
            fsid=self.fsid,
            version=self.version,
            health=self.health,
            checks=self.checks,
            daemons=self.daemons,
            disks=tuple(self.disks.values()),
            buckets=tuple(self.buckets.values()),
            pools=tuple(replace(pool, available=self._available(pool)) for pool in self.pools_by_name.values()),
            rules=tuple(self.rules_by_name.values()),
            groups=self._groups(),
            flow=self.flow,
            space=self._space(None),
            space_by_class={name: self._space(name) for name in classes if name},
            ratios=self.ratios,
            flags=self.flags,
            recovery=dict(self.options),
            events=self.events,
            manager_answers=self.manager_answers,
        )

    def _space(self, device_class: str | None) -> Space:
        disks = [disk for disk in self.disks.values() if disk.up and device_class in (None, disk.device_class)]
        total, used = sum(disk.size for disk in disks), sum(disk.used for disk in disks)
        return Space(total, used, total - used)

    def _has_class(self, device_class: str) -> bool:
        return any(disk.device_class == device_class for disk in self.disks.values())

    def _available(self, pool: PoolFacts) -> int:
        rule = self.rules_by_name.get(pool.rule)
        space = self._space(rule.device_class or None if rule else None)
        return max(0, int(space.total * self.ratios.full) - space.used) * pool.data_chunks // pool.size

    def _groups(self) -> Groups:
        if self.groups is not None:
            return self.groups
        pools = self.pools_by_name.values()
        total = sum(pool.groups for pool in pools)
        objects = sum(pool.objects for pool in pools)
        copies = sum(pool.objects * pool.size for pool in pools)
        return Groups(total, {"active+clean": total} if total else {}, objects=objects, copies=copies)

    # DiskKeeper

    def set_device_class(self, disk: int, device_class: str) -> bool:
        self._enter("set_device_class")
        changed = self._disk(disk).device_class != device_class
        self.change(disk, device_class=device_class)
        return changed

    def set_taken(self, disk: int, *, taken: bool) -> bool:
        self._enter("set_taken")
        changed = self._disk(disk).taken is not taken
        if changed:
            self.change(disk, taken=taken, reweight=1.0 if taken else 0.0)
        return changed

    def may_destroy(self, disk: int) -> bool:
        self._enter("may_destroy")
        return self._disk(disk).groups == 0

    def purge(self, disk: int) -> bool:
        self._enter("purge")
        if disk not in self.disks:
            return False
        if self.disks[disk].up:
            raise Conflict(
                f"Disk {disk} is still up", code="disk-up", component="ceph", advice="Stop its service on the node."
            )
        del self.disks[disk]
        for bucket in tuple(self.buckets.values()):
            children = tuple(child for child in bucket.children if child != disk)
            self.buckets[bucket.id] = replace(bucket, children=children)
        return True

    # DiskMaker

    def make_disk(self, uuid: str, key: str) -> int:
        self._enter("make_disk")
        number = next(each for each in range(len(self.disks) + 1) if each not in self.disks)
        self.disks[number] = DiskFacts(
            number, uuid, "", "", up=False, taken=False, crush_weight=0, reweight=1, new=True
        )
        self.keys[number] = key
        return number

    def place_disk(self, disk: int, *, host: str, weight: float) -> bool:
        self._enter("place_disk")
        if self._disk(disk).host == host:
            return False
        self.change(disk, host=host, crush_weight=weight)
        self._put(disk, self.add_bucket(host, "host").name)
        return True

    def _disk(self, number: int) -> DiskFacts:
        if number not in self.disks:
            raise NotFound(f"There is no disk {number}", code="no-disk", component="ceph")
        return self.disks[number]

    def close(self) -> None:
        self.closed = True


class AlwaysFailing(FakeCluster):
    """A cluster of which every call fails with one error."""

    def __init__(self, error: DriverError | None = None) -> None:
        super().__init__()
        self.error = error or Unreachable("No monitor can be reached", code="no-monitor", component="ceph")

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        raise self.error


def cluster(
    *, hosts: int = 3, disks: int = 3, tiers: Sequence[int] = (1, 2), racks: int = 0, size: int = 4 * GIB
) -> FakeCluster:
    """A usual cluster: so many hosts with so many disks each, a quarter full, their tiers taken in turn in each host.

    With ``racks`` the hosts lie in rack1, rack2 … of row1 in room1, in turn; else directly in the root.
    """
    made = FakeCluster()
    if racks:
        made.add_bucket("room1", "room")
        made.add_bucket("row1", "row", under="room1")
    names = [*HOSTS, *(f"node{number}" for number in range(len(HOSTS) + 1, hosts + 1))][:hosts]
    for index, host in enumerate(names):
        rack = f"rack{index % racks + 1}" if racks else ""
        if rack:
            made.add_bucket(rack, "rack", under="row1")
        made.add_bucket(host, "host", under=rack or "default")
        for number in range(disks):
            made.add_disk(host, f"tier{tiers[number % len(tiers)]}", size=size, used=size // 4)
    made.daemons = _daemons(names, made.version)
    return made


def _daemons(hosts: Sequence[str], version: str) -> tuple[Daemon, ...]:
    monitors = [
        Daemon("mon", host, "peon" if index else "leader", up=True, host=host, version=version)
        for index, host in enumerate(hosts[:3])
    ]
    others = [
        Daemon(kind, host, "standby" if index else "active", up=True, host=host, version=version)
        for kind in ("mgr", "mds")
        for index, host in enumerate(hosts[:2])
    ]
    return (*monitors, *others)
