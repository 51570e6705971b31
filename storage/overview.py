"""The figures of the storage's Overview, from one look at the cluster: pure functions, no database, no engine.

Sizes are bytes, rates bytes per second, percentages 0 to 100.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from panel.ui import format as fmt
from storage.choices import TIER_MEANING
from storage.drivers.facts import ClusterFacts, Space
from storage.redundancy import MODES, counted
from storage.services.policies import Tier, Tiers

_TIER_SHORT = {
    0: "Backups and cold data",
    1: "VEs, HDD and SSD cache",
    2: "Hot data on SSD",
    3: "NVMe, lowest latency",
}
# What a tier's "usable left" is reckoned for: as many copies over hosts as it can have, up to this.
USUAL_COPIES = 3
LONGEST_HEAL = 30 * 86_400  # seconds; a guess beyond it comes of a speed that is none


def share(part: float, whole: float) -> float:
    """Percent of the whole; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Physical:
    """Raw space of all disks. `free` includes `kept`, the size of the largest host; `total` includes `offline`."""

    total: int
    used: int
    free: int
    kept: int
    offline: int
    offline_disks: int

    @property
    def used_percent(self) -> float:
        return share(self.used, self.total)

    @property
    def kept_percent(self) -> float:
        """Of the bar: no more than is free."""
        return share(min(self.kept, self.free), self.total)


def physical(facts: ClusterFacts) -> Physical:
    """Physical space. Disks that are down count with the size they had, those that never ran do not."""
    down = [disk for disk in facts.disks if not disk.up and not disk.starting]
    offline = sum(disk.size for disk in down)
    by_host: dict[str, int] = defaultdict(int)
    for disk in facts.disks:
        if disk.up:
            by_host[disk.host] += disk.size
    return Physical(
        total=facts.space.total + offline,
        used=facts.space.used,
        free=facts.space.available,
        kept=max(by_host.values(), default=0) if len(by_host) > 1 else 0,
        offline=offline,
        offline_disks=len(down),
    )


@dataclass(frozen=True, slots=True)
class Count:
    """So many of so many run; `label` names the services."""

    label: str
    up: int
    total: int

    @property
    def short(self) -> bool:
        return self.up < self.total


@dataclass(frozen=True, slots=True)
class Services:
    """All services of the cluster, and each kind."""

    kinds: tuple[Count, ...]

    @property
    def up(self) -> int:
        return sum(kind.up for kind in self.kinds)

    @property
    def total(self) -> int:
        return sum(kind.total for kind in self.kinds)

    @property
    def up_percent(self) -> float:
        return share(self.up, self.total)


DAEMON_WORDS = {"mon": "Metadata, MDS", "mgr": "Managers", "mds": "File system servers"}


def services(facts: ClusterFacts) -> Services:
    """Monitors are the panel's MDS, OSDs its CS. Kinds that the cluster has none of are left out.

    A disk that is being added counts once it runs.
    """

    def of(kind: str) -> Count:
        found = [daemon for daemon in facts.daemons if daemon.kind == kind]
        return Count(DAEMON_WORDS[kind], sum(daemon.up for daemon in found), len(found))

    made = [disk.up for disk in facts.disks if not disk.starting]
    chunk = Count("Chunk, CS", sum(made), len(made))
    kinds = (of("mon"), chunk, of("mgr"), of("mds"))
    return Services(tuple(kind for kind in kinds if kind.total))


@dataclass(frozen=True, slots=True)
class SelfHeal:
    """Copies that are missing or not where they belong, and how fast they come back.

    `percent` and `total`: of what this heal began with. `seconds`: left at the present speed, None when next to nothing
    moves: just begun, or about to end, that speed says nothing.
    """

    percent: float
    left: int
    total: int
    speed: float
    seconds: float | None

    @property
    def at_rest(self) -> bool:
        return not self.left

    @property
    def done(self) -> int:
        return max(0, self.total - self.left)


def self_heal(facts: ClusterFacts, began: int) -> SelfHeal:
    """`began`: the most copies that were missing or misplaced in this heal (Cluster.heal_began)."""
    groups = facts.groups
    wrong = groups.degraded_copies + groups.misplaced_copies
    if not wrong:
        return SelfHeal(100.0, 0, 0, 0.0, None)
    each = facts.space.used / groups.copies if groups.copies else 0.0
    most = max(began, wrong)
    left, speed = max(1, round(wrong * each)), facts.flow.recovery_bytes
    seconds = left / speed if speed * LONGEST_HEAL >= left else None
    return SelfHeal(share(most - wrong, most), left, round(most * each), speed, seconds)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of space for the columns of a table."""

    name: str
    size: int

    def words(self, value: int) -> str:
        """ "6.1"; "<0.1" for a trace."""
        amount = value / self.size
        return "<0.1" if 0 < amount < 0.05 else f"{amount:,.1f}"


def unit_of(sizes: Iterable[int]) -> Unit:
    """TiB where the largest has one, else GiB."""
    return Unit("TiB", 1 << 40) if max(sizes, default=0) >= 1 << 40 else Unit("GiB", 1 << 30)


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier, or the disks of a device class that is none: those have no mode. `usable`: what still fits in `mode`."""

    tier: int | None
    name: str
    short: str
    meaning: str
    disks: int
    space: Space
    usable: int = 0
    mode: str = ""
    why: str = ""

    @property
    def used_percent(self) -> float:
        return share(self.space.used, self.space.total)


def tiers(facts: ClusterFacts) -> tuple[TierRow, ...]:
    """Tiers 0 to 3, whether they have disks or not; then the classes that somebody else gave."""
    known = Tiers(facts)
    foreign = sorted({disk.device_class for disk in facts.disks if disk.tier is None})
    return (*(_tier_row(facts, tier) for tier in known.all), *(_class_row(facts, name) for name in foreign))


def _tier_row(facts: ClusterFacts, tier: Tier) -> TierRow:
    hosts = len(tier.places("host"))
    mode = MODES[f"r{min(USUAL_COPIES, max(1, hosts))}"]
    return TierRow(
        tier=tier.number,
        name=f"Tier {tier.number}",
        short=_TIER_SHORT[tier.number],
        meaning=", ".join(TIER_MEANING[tier.number]),
        disks=sum(disk.tier == tier.number for disk in facts.disks),
        space=_space_of(facts, f"tier{tier.number}"),
        usable=tier.usable(mode, "host"),
        mode=mode.label,
        why="" if hosts >= USUAL_COPIES else counted(hosts, "host"),
    )


def _class_row(facts: ClusterFacts, device_class: str) -> TierRow:
    disks = sum(disk.device_class == device_class for disk in facts.disks)
    space = _space_of(facts, device_class)
    name = device_class or "No class"
    return TierRow(None, name, "no tier of Mooring", "its disks take no data of Mooring", disks, space)


def _space_of(facts: ClusterFacts, device_class: str) -> Space:
    """What Ceph says of the class; without it the sum of its disks that are up."""
    up = [disk for disk in facts.disks if disk.up and disk.device_class == device_class]
    size, used = sum(disk.size for disk in up), sum(disk.used for disk in up)
    return facts.space_by_class.get(device_class) or Space(size, used, size - used)


@dataclass(frozen=True, slots=True)
class Logical:
    """What users see of the space: written, and what still fits in each tier's usual mode."""

    stored: int
    usable: int

    @property
    def total(self) -> int:
        return self.stored + self.usable

    @property
    def stored_percent(self) -> float:
        return share(self.stored, self.total)


def logical(facts: ClusterFacts, rows: Iterable[TierRow]) -> Logical:
    return Logical(sum(pool.stored for pool in facts.pools), sum(row.usable for row in rows if row.tier is not None))


def head_words(facts: ClusterFacts) -> str:
    """ "3 nodes, 9 of 9 disks, 3 of 3 MDS"."""
    hosts = {disk.host for disk in facts.disks if disk.host} | {each.host for each in facts.daemons if each.host}
    counts = {kind.label: kind for kind in services(facts).kinds}
    parts = [fmt.count(len(hosts), "node")]
    for label, word in (("Chunk, CS", "disks"), ("Metadata, MDS", "MDS")):
        if label in counts:
            parts.append(f"{counts[label].up:,} of {counts[label].total:,} {word}")
    return ", ".join(parts)
