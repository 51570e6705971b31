"""Checks of what the panel stands on: room on its disk, Redis's memory, the days its certificates last.

`/healthz` does not tell these; the health page and its history do. Apps above add theirs with `register`.
"""

import datetime as dt
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from panel.health.checks import REDIS_DEADLINE, Part, Report, report
from panel.trust import ca
from panel.ui import format as fmt

GIB, MIB = 1024**3, 1024**2
# (share, bytes): short when less than the share is free, unless that is still more than the bytes; and below the floor.
DISK_WARN, DISK_CRIT = (0.10, 20 * GIB), (0.03, 5 * GIB)
DISK_WARN_FLOOR, DISK_CRIT_FLOOR = 2 * GIB, 512 * MIB
CERTIFICATE_WARN_DAYS, CERTIFICATE_CRIT_DAYS = 21, 3


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the file system that holds var/; `entries` is the share of free directory entries, 1 without a limit."""

    total: int
    free: int
    entries: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """One of the panel's own certificates; `renewed` says how it gets a successor."""

    title: str
    expires_at: dt.datetime
    renewed: str


_registered: list[Callable[[], Part]] = []


def register(check: Callable[[], Part]) -> None:
    """Have the health page ask this as well; it must be quick and may only read the database."""
    _registered.append(check)


def full_report() -> Report:
    """Everything that `report` asks, and what the panel stands on."""
    found = report()
    parts = [*found.parts, disk(), certificate_part()]
    if found.status != "failed":
        parts += [check() for check in _registered]
    return Report(parts)


def room() -> Room:
    """Raises OSError when the folder cannot be asked."""
    seen = os.statvfs(settings.VAR)
    entries = seen.f_favail / seen.f_files if seen.f_files else 1.0
    return Room(seen.f_blocks * seen.f_frsize, seen.f_bavail * seen.f_frsize, entries)


def disk() -> Part:
    """Whether the panel can still write: without room no task, log or figure is kept."""
    try:
        seen = room()
    except OSError as error:
        return Part("disk", "Disk of the panel", "unknown", "Not known", cause=f"{settings.VAR}: {error.strerror}.")
    share = seen.free / seen.total if seen.total else 0.0
    words = f"{fmt.space(seen.free)} free of {fmt.space(seen.total)}"
    state = "crit" if _short(seen, share, DISK_CRIT, DISK_CRIT_FLOOR) else "ok"
    if state == "ok" and (_short(seen, share, DISK_WARN, DISK_WARN_FLOOR) or seen.entries < 0.05):
        state = "warn"
    if state == "ok":
        return Part("disk", "Disk of the panel", "ok", words)
    cause = f"Only {share:.1%} of the file system of {settings.VAR} is free."
    if seen.entries < 0.05:
        cause = f"Only {seen.entries:.1%} of the file names of the file system of {settings.VAR} are left."
    return Part(
        "disk",
        "Disk of the panel",
        state,
        words,
        cause=f"{cause} When it is full, no task starts and nothing is recorded; VEs run on.",
        advice=f"Free space there, such as old files in {settings.LOG_DIR} and *.broken-* in {settings.RRD_DIR}, "
        "or move var/ to a larger file system while the panel is down.",
    )


def certificates() -> list[Certificate]:
    """The panel's own; one whose file is missing or damaged is left out: `manage.py prepare` makes it."""
    files = (
        ("Authority of the panel", settings.KEYS_DIR / "ca.crt", "Never by itself: see the operating guide"),
        ("Web server", settings.KEYS_DIR / "web.crt", "By bin/up"),
        ("Panel towards libvirt", settings.PKI_DIR / "clientcert.pem", "By bin/up"),
    )
    return [Certificate(title, end, renewed) for title, path, renewed in files if (end := _end(path)) is not None]


def certificate_part() -> Part:
    """The one that ends first."""
    known = certificates()
    if not known:
        return Part("certificates", "Certificates of the panel", "unknown", "Not known", cause="None can be read.",
                    advice="Run bin/up, which makes them.")  # fmt: skip
    first = min(known, key=lambda one: one.expires_at)
    days = days_left(first.expires_at)
    state = state_of_days(days)
    words = f"{fmt.count(days, 'day')} left" if days >= 0 else "Expired"
    if state == "ok":
        return Part("certificates", "Certificates of the panel", "ok", words)
    return Part(
        "certificates", "Certificates of the panel", state, words,
        cause=f"{first.title}: valid until {first.expires_at:%b %d, %Y}.", advice=f"Renewed: {first.renewed}.",
    )  # fmt: skip


def days_left(moment: dt.datetime) -> int:
    """Whole days until then; negative when it has passed."""
    return (moment - timezone.now()).days


def state_of_days(days: int) -> str:
    return "crit" if days < CERTIFICATE_CRIT_DAYS else "warn" if days < CERTIFICATE_WARN_DAYS else "ok"


def figures() -> dict[str, float]:
    """What the history draws, by name, in bytes; a figure that cannot be had is left out."""
    found: dict[str, float] = {}
    with suppress(OSError):  # the check above says so
        found["disk_free"] = room().free
    if (size := database_bytes()) is not None:
        found["database"] = size
    if (memory := redis_bytes()) is not None:
        found["redis"] = memory
    return found


def database_bytes() -> int | None:
    """Size of the database: SQLite's files, or what PostgreSQL says."""
    if connection.vendor == "sqlite":
        name = Path(str(connection.settings_dict["NAME"]))
        sizes = [path.stat().st_size for path in (name, Path(f"{name}-wal")) if path.exists()]
        return sum(sizes) if sizes else None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            row = cursor.fetchone()
    except DatabaseError:
        return None
    return int(row[0]) if row else None


def redis_bytes() -> int | None:
    """Memory that Redis uses; None when it does not answer."""
    client = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_DEADLINE,
        socket_connect_timeout=REDIS_DEADLINE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return int(client.info("memory")["used_memory"])
    except (RedisError, OSError, KeyError, ValueError):
        return None
    finally:
        client.close()


def _short(seen: Room, share: float, limit: tuple[float, int], floor: int) -> bool:
    least, enough = limit
    return seen.free < floor or (share < least and seen.free < enough)


def _end(path: Path) -> dt.datetime | None:
    try:
        return ca.expiry(path.read_bytes())
    except (OSError, ValueError):
        return None
