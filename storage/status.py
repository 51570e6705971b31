"""How the cluster and its disks are shown: one glyph, one word, and whether what is known of them is current."""

from datetime import datetime

from django.utils import timezone

from infrastructure.status import Status
from panel.ui import format as fmt
from storage import chunks
from storage.choices import ClusterState
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster, Disk
from storage.services.freshness import STALE_AFTER
from storage.services.observed import facts_of

# Ceph's warnings that are about data or services; any other, such as a setting it dislikes, degrades nothing.
_DEGRADING = frozenset(
    {
        *("OSD_DOWN", "OSD_HOST_DOWN", "OSD_RACK_DOWN", "OSD_ROW_DOWN", "OSD_ROOM_DOWN", "OSD_ROOT_DOWN"),
        *("OSD_BACKFILLFULL", "OSD_NEARFULL", "OSD_FULL", "POOL_FULL", "POOL_NEARFULL", "POOL_BACKFILLFULL"),
        *("PG_AVAILABILITY", "PG_DEGRADED", "PG_DAMAGED", "PG_RECOVERY_FULL", "PG_BACKFILL_FULL"),
        *("OBJECT_UNFOUND", "OSD_SCRUB_ERRORS", "SLOW_OPS", "BLUESTORE_SLOW_OP_ALERT"),
        *("MON_DOWN", "MGR_DOWN", "MDS_ALL_DOWN", "MDS_UP_LESS_THAN_MAX", "MDS_DAMAGE", "FS_DEGRADED"),
        *("FS_WITH_FAILED_MDS", "MDS_INSUFFICIENT_STANDBY"),
    }
)


def cluster_status(cluster: Cluster, facts: ClusterFacts | None = None, now: datetime | None = None) -> Status:
    """The cluster's badge. ``facts``: where the caller has unpacked them already."""
    now = now or timezone.now()
    if cluster.state == ClusterState.NEW:
        word = "Not connected" if cluster.state_reason else "Connecting"
        return Status("new", "queued", "idle", word, word.lower(), False, cluster.state_reason)
    if cluster.state == ClusterState.REFUSED:
        return Status("refused", "crit", "crit", "Refused", "refused", False, cluster.state_reason)
    silent = silent_seconds(cluster, now)
    if silent is not None:
        word = f"No contact {fmt.coarse(silent)}"
        return Status("unreachable", "unreachable", "crit", word, "unreachable", False, cluster.state_reason)
    facts = facts or facts_of(cluster, ())
    if facts is None:
        return Status("new", "queued", "idle", "No data", "no data", False)
    return health_status(facts)


def health_status(facts: ClusterFacts) -> Status:
    """Healthy, Warning, Degraded or Failure, from what a look told."""
    found = chunks.count(facts.groups)
    raised = [check for check in facts.checks if not check.muted]
    reason = "; ".join(check.summary for check in raised)
    if facts.health == "HEALTH_ERR" or found.not_served:
        return Status("failure", "crit", "crit", "Failure", "failure", True, reason)
    concerned = any(check.code in _DEGRADING for check in raised)
    if concerned or found.degraded or found.urgent or not facts.manager_answers:
        return Status("degraded", "warn", "warn", "Degraded", "degraded", True, reason)
    if facts.health != "HEALTH_OK":
        return Status("warn", "warn", "warn", "Warning", "warning", True, reason)
    return Status("healthy", "ok", "ok", "Healthy", "healthy")


def is_current(cluster: Cluster) -> bool:
    """Whether what is known of it is current: it answers, and did not long ago."""
    known = cluster.state not in (ClusterState.NEW, ClusterState.REFUSED)
    return known and silent_seconds(cluster, timezone.now()) is None


def silent_seconds(cluster: Cluster, now: datetime) -> float | None:
    """Seconds since the cluster was heard, once that is too long; None while what is known of it is current."""
    if cluster.state == ClusterState.UNREACHABLE:
        return fmt.seconds_since(cluster.unreachable_since or cluster.observed_at, now) or 0.0
    if cluster.observed_at is None:
        return fmt.seconds_since(cluster.connected_at or cluster.added_at, now)
    age = now - cluster.observed_at
    return age.total_seconds() if age > STALE_AFTER else None


def disk_status(disk: Disk, *, current: bool = True, now: datetime | None = None) -> Status:
    """The status of a disk. ``current``: whether its cluster answers; otherwise its last state is not claimed."""
    if not current:
        reason = f"The cluster does not answer; last known: {disk_status(disk, now=now).word}"
        return Status("unknown", "unreachable", "idle", "No contact", "no contact", False, reason)
    if disk.starting:
        why = "It is being added; its service has not run yet"
        return Status("starting", "progress", "info", "Starting", "starting", True, why)
    if not disk.up:
        since = fmt.seconds_since(disk.down_since, now or timezone.now())
        if disk.taken:  # Ceph still counts on it: it has not begun to rebuild its data elsewhere
            word = "Offline" if since is None else f"Offline {fmt.coarse(since)}"
            return Status("offline", "unreachable", "crit", word, "offline")
        return Status("failed", "failed", "crit", "Failed", "failed")
    if not disk.taken:
        return Status("releasing", "progress", "info", "Releasing", "releasing")
    if disk.tier is None:
        class_ = f"Its device class is {disk.device_class}" if disk.device_class else "It has no device class"
        return Status("no-tier", "warn", "warn", "No tier", "no tier", True, class_)
    return Status("ok", "ok", "ok", "Ok", "ok")
