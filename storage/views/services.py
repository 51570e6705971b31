"""GET /storage/services/: metadata services, managers, file system servers, chunk services, and what is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from infrastructure.status import Status
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from storage.drivers.facts import ClusterFacts, Daemon, Event
from storage.explain import explanations
from storage.models import Disk
from storage.overview import services
from storage.views.look import Look, look_at_cluster, page_context

# As `vstorage top` has it: a chunk service that is away for longer counts as offline, before that as inactive.
OFFLINE_AFTER = timedelta(minutes=5)
MOST_CHUNK_SERVICES = 200
KINDS = (
    ("mon", "Metadata services, MDS", "They keep the map of the cluster; more than half of them must run."),
    ("mgr", "Managers", "One works, the others wait to take over."),
    ("mds", "File system servers", "They serve the file datastores: CT roots, backups, images."),
)
# Severity → glyph and word.
SEVERITIES = {
    "info": ("info", "Info"),
    "security": ("warn", "Security"),
    "warning": ("warn", "Warning"),
    "error": ("crit", "Error"),
}
ROLE_WORDS = {"leader": "Leader", "peon": "In quorum", "active": "Active", "standby": "Standby"}


@dataclass(frozen=True, slots=True)
class DaemonRow:
    daemon: Daemon
    status: Status
    role: str


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk service; figures only while they are current."""

    disk: Disk
    status: Status
    free: int | None
    fill: float | None
    latency: float | None

    @property
    def name_of_fill(self) -> str:
        return f"Fill of {self.disk}"


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the cluster's log."""

    at: datetime
    glyph: str
    word: str
    message: str


@requires("storage.view")
@require_safe
def service_list(request: HttpRequest) -> HttpResponse:
    """GET /storage/services/."""
    look = look_at_cluster(request)
    context = page_context(request, "Services", look)
    if look is not None and look.facts is not None:
        context |= _content(look, look.facts)
    return render_page(request, "storage/services.html", context, regions=("page-title", "tab-panel"))


def _content(look: Look, facts: ClusterFacts) -> dict[str, Any]:
    now = timezone.now()
    since = {disk.number: disk.down_since for disk in look.disks}
    # Those that want attention first: they may be on no other page of a long list.
    disks = sorted(look.disks, key=lambda disk: (disk.up, disk.number))
    return {
        "groups": [_group(look, facts, *kind) for kind in KINDS],
        "chunk_services": [chunk_row(disk, look, now) for disk in disks[:MOST_CHUNK_SERVICES]],
        "left_out": max(0, len(disks) - MOST_CHUNK_SERVICES),
        "services": services(facts),
        "events": explanations(facts, since) if look.current else [],
        "log": None if facts.events is None else [log_row(event) for event in reversed(facts.events)],
    }


def log_row(event: Event) -> LogRow:
    return LogRow(datetime.fromisoformat(event.at), *SEVERITIES.get(event.severity, SEVERITIES["info"]), event.message)


def _group(look: Look, facts: ClusterFacts, kind: str, title: str, meaning: str) -> dict[str, Any]:
    daemons = sorted((each for each in facts.daemons if each.kind == kind), key=lambda each: (each.host, each.name))
    up = sum(daemon.up for daemon in daemons)
    return {
        "kind": kind,
        "title": title,
        "meaning": meaning,
        "rows": [DaemonRow(daemon, _daemon_status(daemon, look), _role(daemon, look)) for daemon in daemons],
        "words": f"{up if look.current else '?'} of {len(daemons)}",
        "quorum": f"Quorum with {len(daemons) // 2 + 1}" if kind == "mon" and daemons else "",
    }


def _role(daemon: Daemon, look: Look) -> str:
    return ROLE_WORDS.get(daemon.role, daemon.role) if look.current and daemon.up else ""


def _daemon_status(daemon: Daemon, look: Look) -> Status:
    if not look.current:
        return UNKNOWN
    if daemon.up:
        return Status("running", "running", "ok", "Running", "running")
    return Status("down", "crit", "crit", "Not running", "not running")


UNKNOWN = Status("unknown", "unreachable", "idle", "Not known", "not known", False)


def chunk_row(disk: Disk, look: Look, now: datetime) -> ChunkRow:
    """A chunk service as `vstorage top` shows it: active, inactive, and offline after five minutes."""
    if not look.current:
        status = UNKNOWN
    elif disk.up:
        status = Status("active", "running", "ok", "Active", "active")
    elif disk.starting:
        status = Status("starting", "progress", "info", "Starting", "starting")
    elif disk.down_since is not None and now - disk.down_since <= OFFLINE_AFTER:
        status = Status("inactive", "warn", "warn", "Inactive", "inactive")
    else:
        status = Status("offline", "crit", "crit", "Offline", "offline")
    shown = look.figures and disk.up
    return ChunkRow(
        disk=disk,
        status=status,
        free=disk.size - disk.used if shown else None,
        fill=disk.fill if shown else None,
        latency=disk.latency if shown else None,
    )
