"""What a driver tells of a storage cluster. Sizes are bytes, rates are per second, latencies are milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TIERS = (0, 1, 2, 3)
# The CRUSH bucket types that can be failure domains, from small to large; "osd" is one disk.
DOMAINS = ("osd", "host", "rack", "row", "room")
# What decides how much of the disks recovery takes; the last one is what counts from Quincy on.
RECOVERY_OPTIONS = (
    *("osd_max_backfills", "osd_recovery_max_active", "osd_recovery_op_priority"),
    *("osd_recovery_sleep_hdd", "osd_recovery_sleep_ssd", "osd_recovery_sleep_hybrid", "osd_mclock_profile"),
)


def tier_of(device_class: str) -> int | None:
    """The tier that a device class stands for: "tier2" → 2; None for a class that is no tier, such as "hdd"."""
    number = device_class.removeprefix("tier")
    if number == device_class or not number.isdigit() or int(number) not in TIERS:
        return None
    return int(number)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One of Ceph's health checks that is raised, in Ceph's words."""

    code: str  # "OSD_DOWN"
    severity: str  # "HEALTH_WARN" or "HEALTH_ERR"
    summary: str
    details: tuple[str, ...] = ()
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the cluster's own log. `at`: ISO 8601 in UTC; `severity`: "info", "security", "warning" or "error"."""

    at: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class Daemon:
    """A monitor, manager or metadata server."""

    kind: str  # "mon", "mgr" or "mds"
    name: str
    role: str  # mon: "leader", "peon"; mgr and mds: "active", "standby"; "" when down
    up: bool
    host: str = ""
    address: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A chunk service (OSD) and its disk."""

    id: int
    uuid: str
    device_class: str
    host: str  # CRUSH host; "" when it is not in the map
    up: bool
    taken: bool  # "in": data is placed on it
    crush_weight: float
    reweight: float  # 0 to 1
    size: int = 0
    used: int = 0
    groups: int = 0  # placement groups on it
    commit_ms: float | None = None
    device: str = ""  # "sdb"
    rotational: bool | None = None
    version: str = ""
    address: str = ""
    new: bool = False  # Ceph never took it in: it was made, and has not run yet

    @property
    def tier(self) -> int | None:
        return tier_of(self.device_class)

    @property
    def starting(self) -> bool:
        """Whether it is being added and has not run yet, so that nothing can be missing without it."""
        return self.new and not self.up


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in the CRUSH map: a host, rack, row, room or root, with what lies directly in it."""

    id: int  # negative
    name: str
    type: str
    children: tuple[int, ...] = ()  # ids of buckets (negative) and disks


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A pool and how it protects its data."""

    id: int
    name: str
    coded: bool  # erasure coding; else copies
    size: int  # copies, or data and coding chunks together
    min_size: int
    rule: str
    profile: str = ""
    data_chunks: int = 1  # k of k+m; 1 for copies
    applications: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: int = 0
    stored: int = 0  # what users wrote
    used: int = 0  # raw space taken
    available: int = 0  # what users can still write, as Ceph reckons
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A CRUSH rule, as far as it is of the simple kind: one root, one device class, one failure domain."""

    id: int
    name: str
    coded: bool
    root: str = ""
    device_class: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """An erasure-code profile."""

    name: str
    data: int
    coding: int
    domain: str
    device_class: str
    root: str = "default"
    plugin: str = "jerasure"


@dataclass(frozen=True, slots=True)
class FilesystemFacts:
    """A CephFS file system. Pools by name; the first data pool is its default, which cannot be taken from it."""

    name: str
    metadata_pool: str
    data_pools: tuple[str, ...]
    serving: bool = False  # a metadata server is active for it: it can be mounted


@dataclass(frozen=True, slots=True)
class Groups:
    """Placement groups: the panel's chunks."""

    total: int = 0
    states: Mapping[str, int] = field(default_factory=dict)  # "active+clean" → how many
    urgent: int = 0  # with one copy left, or as many chunks as are needed to read
    objects: int = 0
    copies: int = 0
    degraded_copies: int = 0
    misplaced_copies: int = 0
    unfound: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes on at this moment."""

    read_bytes: float = 0.0
    write_bytes: float = 0.0
    read_ops: float = 0.0
    write_ops: float = 0.0
    recovery_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Space:
    """Raw space of all disks that are up, or of those of one device class."""

    total: int = 0
    used: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class Ratios:
    """How full (0 to 1) a disk may be."""

    near_full: float = 0.85
    backfill_full: float = 0.90
    full: float = 0.95


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Everything one look at a cluster tells."""

    fsid: str
    version: str  # "16.2.15"
    health: str  # "HEALTH_OK", "HEALTH_WARN" or "HEALTH_ERR"
    checks: tuple[HealthCheck, ...]
    daemons: tuple[Daemon, ...]
    disks: tuple[DiskFacts, ...]
    buckets: tuple[Bucket, ...]
    pools: tuple[PoolFacts, ...]
    rules: tuple[Rule, ...]
    groups: Groups
    flow: Flow
    space: Space
    space_by_class: Mapping[str, Space] = field(default_factory=dict)
    ratios: Ratios = field(default_factory=Ratios)
    flags: tuple[str, ...] = ()  # "noout", "pauserd"
    # Of RECOVERY_OPTIONS what is set for all disks, by name; the others have Ceph's defaults. None: not known.
    recovery: Mapping[str, str] | None = None
    events: tuple[Event, ...] | None = ()  # the oldest first; None: the panel may not read them
    manager_answers: bool = True  # figures of space, groups and flow are the manager's; without one they are old
