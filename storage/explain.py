"""Ceph's health checks in the panel's words: what is wrong, what it means for the data, what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import chunks
from storage.drivers.facts import ClusterFacts, DiskFacts, HealthCheck

ERROR = "HEALTH_ERR"
GIVEN_UP = "DISK_FAILED"  # a finding of the panel's own


@dataclass(frozen=True, slots=True)
class Explanation:
    """One health check as a page tells it; `since` where the panel knows it."""

    code: str
    tone: str  # "warn" or "crit"
    fact: str
    means: str
    todo: str
    details: tuple[str, ...] = ()
    since: datetime | None = None
    muted: bool = False

    @property
    def glyph(self) -> str:
        return self.tone

    @property
    def word(self) -> str:
        if self.muted:
            return "Muted"
        return "Error" if self.tone == "crit" else "Warning"


_SAFE = "No data is lost: the other copies serve it."
_WAITS = "Reads and writes of some pieces wait: too few of their copies are there."
_SPACE = "Add disks, or delete what is not needed."
# Code → (what it means, what to do). What Ceph says itself is the fact.
_WORDS: dict[str, tuple[str, str]] = {
    "OSD_DOWN": (_SAFE, "See whether its node and the disk work; without it the data is rebuilt on other disks."),
    "OSD_HOST_DOWN": (_SAFE, "Start the node again; without it the data is rebuilt where there is room."),
    "OSD_RACK_DOWN": (_SAFE, "Look at the rack's power and network."),
    "MON_DOWN": ("Most of them must run, or the whole cluster stops.", "Start the node or its metadata service again."),
    "MGR_DOWN": ("Figures are old and nothing is balanced; data is served.", "Start a manager again."),
    "MON_CLOCK_SKEW": ("Metadata services may lose their quorum.", "Let the nodes keep the same time, by NTP."),
    "PG_DEGRADED": (
        "No data is lost. Some pieces have fewer copies than they should, until they are rebuilt.",
        "Keep the other disks running until self-heal has ended.",
    ),
    "PG_AVAILABILITY": (_WAITS, "Bring disks and nodes that are offline back."),
    "PG_DAMAGED": ("Copies of some pieces differ.", "Have Ceph repair them: ceph pg repair."),
    "OBJECT_UNFOUND": ("Some data is on none of the disks that run.", "Bring disks that are offline back."),
    "OBJECT_MISPLACED": ("Data is complete and on its way to where it belongs.", ""),
    "OSD_NEARFULL": ("Nothing new is allocated on it soon.", _SPACE),
    "OSD_BACKFILLFULL": ("Lost copies cannot be rebuilt on it.", _SPACE),
    "OSD_FULL": ("Writes wait until there is room.", _SPACE),
    "POOL_NEARFULL": ("New datastores and LUNs are refused soon.", _SPACE),
    "POOL_FULL": ("Writes to it are refused.", _SPACE),
    "POOL_NO_REDUNDANCY": (
        "Its data is lost with the first disk that fails.",
        "Use it only where the drives have their own protection.",
    ),
    "SLOW_OPS": ("Reads and writes take much longer than they should.", "Look for a slow disk under Nodes and disks."),
    "MDS_ALL_DOWN": ("Files of datastores cannot be reached.", "Start a file system server again."),
    "MDS_INSUFFICIENT_STANDBY": ("No other server takes over the file systems when one fails.", "Start another one."),
    "FS_DEGRADED": ("A file system waits for a server.", "Start a file system server again."),
    "OSDMAP_FLAGS": ("Somebody switched a part of the cluster's work off.", "Take the flags away when it is done."),
    "RECENT_CRASH": ("A service crashed and was started again.", "Read it with ceph crash ls, then archive it."),
}


# What is true of these only while every piece is served.
_CALMING = frozenset({"OSD_DOWN", "OSD_HOST_DOWN", "OSD_RACK_DOWN", "PG_DEGRADED"})

Moments = Mapping[int, datetime | None]


def explanations(facts: ClusterFacts, down_since: Moments) -> list[Explanation]:
    """All checks, the worst first and muted ones last; `down_since`: disk → since when the panel saw it down.

    Ceph says nothing of a disk any more that it has given up; the panel does until it is replaced or released.
    """
    made = [*(explain(check, facts, down_since) for check in facts.checks), *_given_up(facts, down_since)]
    return sorted(made, key=lambda each: (each.muted, each.tone != "crit", each.since is None))


def explain(check: HealthCheck, facts: ClusterFacts, down_since: Moments) -> Explanation:
    means, todo = _WORDS.get(check.code, ("", "Ceph says more with: ceph health detail."))
    if check.code in _CALMING:
        means = _how_served(facts) or means
    fact, since = check.summary, None
    down = [disk for disk in facts.disks if not disk.up and disk.taken]
    if check.code == "OSD_DOWN" and down:
        fact, since = _told(down, "went offline", down_since)
    return Explanation(
        code=check.code,
        tone="crit" if check.severity == ERROR else "warn",
        fact=f"{fact[:1].upper()}{fact[1:].rstrip('.')}",
        means=means,
        todo=todo,
        details=check.details,
        since=since,
        muted=check.muted,
    )


def _how_served(facts: ClusterFacts) -> str:
    """What is wrong with reaching the data, or that it is not known; "" while all of it is served."""
    if not facts.manager_answers:
        return "Whether all data is served is known again when a manager answers."
    return _WAITS if chunks.count(facts.groups).not_served or facts.groups.unfound else ""


def _given_up(facts: ClusterFacts, down_since: Moments) -> list[Explanation]:
    """Disks that are down and that Ceph places nothing on any more."""
    failed = [disk for disk in facts.disks if not disk.up and not disk.taken and not disk.starting]
    if not failed:
        return []
    fact, since = _told(failed, "failed", down_since)
    means = "The cluster no longer counts on it: what it held is rebuilt on other disks where there is room."
    return [Explanation(GIVEN_UP, "warn", fact, means, "Replace it, or remove it in Nodes and disks.", since=since)]


def _told(disks: Sequence[DiskFacts], what: str, down_since: Moments) -> tuple[str, datetime | None]:
    """ "Disk CS8 on secondnode2 went offline", or how many did; since the first of them."""
    known = [moment for disk in disks if (moment := down_since.get(disk.id)) is not None]
    since = min(known, default=None)
    if len(disks) == 1:
        return f"Disk CS{disks[0].id} on {disks[0].host or 'no node'} {what}", since
    hosts = sorted({disk.host for disk in disks})
    where = hosts[0] if len(hosts) == 1 else f"{len(hosts)} nodes"
    return f"{len(disks)} disks on {where} {what}", since
