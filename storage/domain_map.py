"""The map of failure domains: room, row and rack, their hosts, and the disks of these. Pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from infrastructure.status import Status
from panel.ui import format as fmt
from storage.drivers.facts import Bucket, ClusterFacts, DiskFacts

Colour = Literal["state", "fill", "latency"]
COLOURS: dict[Colour, str] = {"state": "State", "fill": "Fill", "latency": "Latency"}
MOST_HOSTS = 40
MOST_TILES = 12  # of one host; with more the healthy ones are folded
SLOW_MS, STUCK_MS = 50.0, 250.0
_PLACES = ("room", "row", "rack")


@dataclass(frozen=True, slots=True)
class Tile:
    """A disk in the map.

    `tone` colours it: "" for a good one, "info", "warn", "crit" or "idle". `words` is the figure under its meter.
    """

    number: int
    tone: str
    glyph: str
    word: str
    kind: str
    fill: float | None
    words: str

    @property
    def name(self) -> str:
        return f"CS{self.number}"


@dataclass(frozen=True, slots=True)
class Host:
    """A host with its disks; `tags` are the services on it besides those of disks."""

    name: str
    tiles: tuple[Tile, ...]
    tags: tuple[str, ...]
    up: int
    starting: int = 0

    @property
    def made(self) -> int:
        """How many disks it has, without those that are being added."""
        return len(self.tiles) - self.starting

    @property
    def folded(self) -> bool:
        return len(self.tiles) > MOST_TILES

    @property
    def shown(self) -> tuple[Tile, ...]:
        """What stays in sight: of many disks only those that want attention."""
        if not self.folded:
            return self.tiles
        return tuple(tile for tile in self.tiles if tile.tone)[:MOST_TILES]

    @property
    def hidden(self) -> tuple[Tile, ...]:
        shown = {tile.number for tile in self.shown}
        return tuple(tile for tile in self.tiles if tile.number not in shown)

    @property
    def tone(self) -> str:
        return "crit" if self.made and not self.up else "warn" if self.up < self.made else "ok"


@dataclass(frozen=True, slots=True)
class Place:
    """Hosts that share a room, row and rack: ("room a", "rack 1")."""

    path: tuple[str, ...]
    hosts: tuple[Host, ...]


@dataclass(frozen=True, slots=True)
class DomainMap:
    """The places with their hosts, at most MOST_HOSTS of them; `words` says what may fail together."""

    places: tuple[Place, ...]
    hosts: int
    left_out: int
    words: str


def domain_map(
    facts: ClusterFacts, statuses: Mapping[int, Status], colour: Colour = "state", *, current: bool = True
) -> DomainMap:
    """`statuses`: of each disk, by its number. `current`: whether figures of disks may be claimed."""
    found = list(_hosts(facts))
    tags = _tags(facts, current=current)
    places: dict[tuple[str, ...], list[Host]] = {}
    for path, name, disks in found[:MOST_HOSTS]:
        tiles = tuple(_tile(disk, statuses[disk.id], facts, colour, current=current) for disk in disks)
        host = Host(
            name, tiles, tags.get(name, ()), sum(disk.up for disk in disks), sum(disk.starting for disk in disks)
        )
        places.setdefault(path, []).append(host)
    made = tuple(Place(path, tuple(hosts)) for path, hosts in places.items())
    return DomainMap(made, len(found), max(0, len(found) - MOST_HOSTS), _words(facts, len(found)))


def _hosts(facts: ClusterFacts) -> Iterator[tuple[tuple[str, ...], str, list[DiskFacts]]]:
    """(place, name, disks) of each host by place and name; disks that the CRUSH map does not have come last."""
    parents = {child: bucket for bucket in facts.buckets for child in bucket.children}
    by_host: dict[str, list[DiskFacts]] = {}
    for disk in sorted(facts.disks, key=lambda each: each.id):
        by_host.setdefault(disk.host, []).append(disk)
    hosts = [(_path(bucket, parents), bucket.name) for bucket in facts.buckets if bucket.type == "host"]
    for path, name in sorted(hosts):
        yield path, name, by_host.pop(name, [])
    for name, disks in sorted(by_host.items()):
        yield (), name, disks


def _path(host: Bucket, parents: dict[int, Bucket]) -> tuple[str, ...]:
    """Room, row and rack of a host, as far as it has them. A map that runs in circles ends it."""
    path: list[str] = []
    above = parents.get(host.id)
    while above is not None and len(path) < len(_PLACES):
        if above.type in _PLACES:
            path.insert(0, above.name)
        elif above.type == "root":
            break
        above = parents.get(above.id)
    return tuple(path)


def _tags(facts: ClusterFacts, *, current: bool) -> dict[str, tuple[str, ...]]:
    """Host → its services: "MDS leader", "Manager", "File system"."""
    tags: dict[str, list[str]] = {}
    words = {"mon": "MDS", "mgr": "Manager", "mds": "Files"}
    for daemon in facts.daemons:
        if not daemon.host or not daemon.up:
            continue
        leads = " leader" if daemon.role == "leader" and current else ""
        tags.setdefault(daemon.host, []).append(f"{words.get(daemon.kind, daemon.kind)}{leads}")
    return {host: tuple(dict.fromkeys(found)) for host, found in tags.items()}


def _tile(disk: DiskFacts, status: Status, facts: ClusterFacts, colour: Colour, *, current: bool) -> Tile:
    fill = 100 * disk.used / disk.size if disk.size else None
    tone, glyph, word = status.tone, status.glyph, status.spoken
    words = f"{fmt.percent(fill)} of {fmt.space(disk.size)}" if fill is not None else "Size not known"
    if current and not disk.up:
        words = status.word
    elif current and colour == "latency":
        tone, glyph = _slow(disk.commit_ms)
        word = words = fmt.NO_DATA if disk.commit_ms is None else f"{disk.commit_ms:.0f} ms"
    elif current and colour == "fill":
        tone, glyph, word = _full(fill, facts)
    medium = {True: "HDD", False: "SSD", None: ""}[disk.rotational]
    tier = f"Tier {disk.tier}" if disk.tier is not None else disk.device_class or "No tier"
    return Tile(
        disk.id,
        "" if tone == "ok" else tone,
        glyph,
        word,
        ", ".join(part for part in (tier, medium) if part),
        fill,
        words,
    )


def _full(fill: float | None, facts: ClusterFacts) -> tuple[str, str, str]:
    if fill is None:
        return "idle", "unreachable", "fill not known"
    if fill >= 100 * facts.ratios.full:
        return "crit", "crit", "full"
    if fill >= 100 * facts.ratios.near_full:
        return "warn", "warn", "nearly full"
    return "ok", "ok", f"{fmt.percent(fill)} full"


def _slow(latency: float | None) -> tuple[str, str]:
    if latency is None:
        return "idle", "unreachable"
    if latency >= STUCK_MS:
        return "crit", "crit"
    return ("warn", "warn") if latency >= SLOW_MS else ("ok", "ok")


def _words(facts: ClusterFacts, hosts: int) -> str:
    """What may fail together: "3 hosts in 3 racks and 2 rooms"; one rack for all is said as the danger that it is."""
    by_type = {type: [bucket.name for bucket in facts.buckets if bucket.type == type] for type in _PLACES}
    for type in ("rack", "row", "room"):
        if len(by_type[type]) == 1 and hosts > 1:
            return f"{by_type[type][0]} is one failure domain: losing it stops the cluster"
    counts = [fmt.count(len(names), type) for type, names in reversed(by_type.items()) if names]
    return ", ".join([fmt.count(hosts, "host"), *counts])
