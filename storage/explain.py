"""Ceph's health checks in the panel's words: what is wrong, what it means for the data, what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.drivers.facts import ClusterFacts, HealthCheck

ERROR = "HEALTH_ERR"


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
    "PG_AVAILABILITY": (
        "Reads and writes of some pieces wait: too few of their copies are there.",
        "Bring disks and nodes that are offline back.",
    ),
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


def explanations(facts: ClusterFacts, down_since: Mapping[int, datetime | None]) -> list[Explanation]:
    """All checks, the worst first and muted ones last; `down_since`: disk → since when the panel saw it down."""
    made = [explain(check, facts, down_since) for check in facts.checks]
    return sorted(made, key=lambda each: (each.muted, each.tone != "crit", each.since is None))


def explain(check: HealthCheck, facts: ClusterFacts, down_since: Mapping[int, datetime | None]) -> Explanation:
    means, todo = _WORDS.get(check.code, ("", "Ceph says more with: ceph health detail."))
    fact, since = check.summary, None
    if check.code == "OSD_DOWN":
        fact, since = _disks_down(facts, down_since) or (check.summary, None)
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


def _disks_down(facts: ClusterFacts, down_since: Mapping[int, datetime | None]) -> tuple[str, datetime | None] | None:
    """ "Disk CS8 on secondnode2 went offline", or how many did; since the first of them."""
    down = [disk for disk in facts.disks if not disk.up]
    if not down:
        return None
    since = _first(down_since.get(disk.id) for disk in down)
    if len(down) == 1:
        return f"Disk CS{down[0].id} on {down[0].host or 'no node'} {'went' if since else 'is'} offline", since
    hosts = sorted({disk.host for disk in down})
    where = f" on {hosts[0]}" if len(hosts) == 1 else f" on {len(hosts)} nodes"
    return f"{len(down)} disks{where} {'went' if since else 'are'} offline", since


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
