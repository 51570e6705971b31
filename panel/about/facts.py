"""Versions and dates of this panel, each read from where it is true. What cannot be read says so."""

import platform
import re
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

import structlog
from django.conf import settings
from django.db import connection
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from panel.trust.ca import expiry

log = structlog.get_logger("mooring.about")
REDIS_DEADLINE = 0.5  # seconds
_LIBRARIES = (
    ("Django", "django"),
    ("Channels", "channels"),
    ("Celery", "celery"),
    ("uvicorn", "uvicorn"),
    ("cryptography", "cryptography"),
    ("asyncssh", "asyncssh"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """This panel itself. `commit` is the one that bin/up started, "" outside a git clone."""

    version: str
    build: str
    commit: str
    instance: str
    address: str
    web_certificate_until: datetime | None
    authority_until: datetime | None


def panel() -> Panel:
    """Facts of this panel, from its settings and its key folder."""
    return Panel(
        version=settings.VERSION,
        build=settings.BUILD,
        commit=_commit(),
        instance=settings.INSTANCE,
        address=f"{settings.HOST}:{settings.PORT}",
        web_certificate_until=_expiry("web.crt") if settings.HTTPS else None,
        authority_until=_expiry("ca.crt"),
    )


def parts() -> list[tuple[str, str]]:
    """(part, version) of what the panel stands on: engine clients, servers, libraries."""
    found = [
        ("Python", platform.python_version()),
        ("libvirt client", _version("libvirt-python")),
        (f"{connection.display_name} (database)", _database()),
        ("Redis", _redis()),
    ]
    return found + [(name, _version(package)) for name, package in _LIBRARIES]


def _commit() -> str:
    """bin/up writes what it started into run/build: the commit, then a digest of the files."""
    try:
        text = (settings.RUN_DIR / "build").read_text()
    except OSError:
        return ""
    found = re.match(r"([0-9a-f]{40})-", text)
    return found[1][:12] if found else ""


def _expiry(name: str) -> datetime | None:
    try:
        return expiry((settings.KEYS_DIR / name).read_bytes())
    except (OSError, ValueError) as error:
        log.warning("a certificate cannot be read", name=name, error=str(error))
        return None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "Not installed"


def _database() -> str:
    statement = "SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version"
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[0])


def _redis() -> str:
    client = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_DEADLINE,
        socket_connect_timeout=REDIS_DEADLINE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return str(client.info("server")["redis_version"])
    except (RedisError, OSError):
        return "Does not answer"
    finally:
        client.close()
