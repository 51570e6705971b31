"""How healthy each part of the panel is: asked of the database and Redis, read from the others' signs of life."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from panel.health.models import Beat

log = structlog.get_logger("mooring.health")
OK_UNTIL = 15.0  # seconds since the last sign of life
WARN_UNTIL = 60.0
REDIS_DEADLINE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Watched:
    """A process that leaves signs of life: its title, what stands still without it, and its name for bin/logs."""

    title: str
    effect: str
    program: str


# The order of the page.
PROCESSES: dict[str, Watched] = {
    "worker.default": Watched("Worker, queue default", "Power and onboarding tasks wait.", "worker-default"),
    "worker.migrate": Watched("Worker, queue migrate", "Migrations wait.", "worker-migrate"),
    "keeper": Watched("Keeper", "Waiting tasks are not admitted and lost ones are not noticed.", "keeper"),
    "collector": Watched("Collector", "States and figures of nodes and VEs are not updated.", "collector"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part: state is ok, warn, crit or unknown; `text` says it in words that anybody may read.

    `cause` and `advice` are for those who may see the page. `age` is that of the last sign of life in seconds.
    """

    name: str
    title: str
    state: str
    text: str
    age: float | None = None
    cause: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All parts; `status` is ok, degraded or failed (the database)."""

    parts: list[Part]

    @property
    def status(self) -> str:
        states = {part.name: part.state for part in self.parts}
        if states["database"] != "ok":
            return "failed"
        return "ok" if set(states.values()) == {"ok"} else "degraded"


def report() -> Report:
    """Ask every part. Takes at most Redis's deadline longer than the database needs."""
    try:
        beats: dict[str, datetime] | None = dict(Beat.objects.values_list("name", "at"))
        database = Part("database", "Database", "ok", "Answers")
    except DatabaseError as error:
        log.error("the database does not answer", error=str(error))
        beats = None
        database = Part(
            "database",
            "Database",
            "crit",
            "Does not answer",
            cause=str(error),
            advice="See bin/logs web for the cause.",
        )
    now = timezone.now()
    return Report([database, redis(), *(process(name, beats, now) for name in PROCESSES)])


def redis() -> Part:
    """Redis answers a ping within its deadline, or live updates and new tasks are delayed."""
    client = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_DEADLINE,
        socket_connect_timeout=REDIS_DEADLINE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except (RedisError, OSError) as error:
        return Part(
            "redis",
            "Redis",
            "crit",
            "Does not answer",
            cause=f"{error}. Tasks start and pages update a few seconds later than usual; nothing is lost.",
            advice="bin/logs redis shows why it stopped; bin/up starts it again.",
        )
    finally:
        client.close()
    return Part("redis", "Redis", "ok", "Answers")


def process(name: str, beats: Mapping[str, datetime] | None, now: datetime) -> Part:
    """A process by the age of its last sign of life; `beats` is None while the database cannot be read."""
    watched = PROCESSES[name]
    if beats is None:
        return Part(name, watched.title, "unknown", "Not known", cause="The database cannot be read.")
    if name not in beats:
        advice = f"bin/logs {watched.program} shows why; bin/up starts it."
        return Part(
            name, watched.title, "crit", "Never seen", cause=f"It has not started yet. {watched.effect}", advice=advice
        )
    age = max(0.0, (now - beats[name]).total_seconds())
    if age <= OK_UNTIL:
        return Part(name, watched.title, "ok", "Running", age)
    cause = f"No sign of life for {age:.0f} s: it hangs, was stopped, or cannot write to the database."
    return Part(
        name,
        watched.title,
        "warn" if age <= WARN_UNTIL else "crit",
        "Silent",
        age,
        cause=f"{cause} {watched.effect}",
        advice=f"bin/logs {watched.program} shows why; it is restarted by itself when it ended.",
    )
