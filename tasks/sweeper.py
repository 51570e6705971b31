"""Send the messages again that were lost: a queued row that nobody claims gets another one, at growing intervals."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from django.conf import settings

from tasks import messages
from tasks.choices import State
from tasks.models import Task

log = structlog.get_logger("mooring.keeper")
UNSENT_GRACE = 1.0  # a row whose sender failed, or may just be sending
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0


def redis_run() -> str | None:
    """The id of the running Redis, which changes with each start; None while it does not answer."""
    try:
        with redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=None) as client:
            return str(client.info("server")["run_id"])
    except (redis.RedisError, OSError):
        return None


@dataclass(slots=True)
class Due:
    """When a queued attempt gets its next message, on the sweeper's own clock."""

    attempt: int
    at: float
    pause: float


class Sweeper:
    """What it knows of the queued rows and of the Redis that holds their messages."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, broker: Callable[[], str | None] = redis_run
    ) -> None:
        self._clock = clock
        self._broker = broker
        self._run: str | None = None
        self._due: dict[int, Due] = {}

    def sweep(self) -> list[int]:
        """Send what is due; all of it when Redis was started anew, for then it has forgotten every message.

        Returns the ids whose message was sent.
        """
        rows = Task.objects.filter(state=State.QUEUED).order_by("pk").values_list("pk", "queue", "attempt", "sends")
        queued = list(rows)
        now = self._clock()
        self._due = {pk: self._plan(pk, attempt, sends, now) for pk, _, attempt, sends in queued}
        run = self._broker()
        if run is None:
            return []
        fresh, self._run = run != self._run, run
        return [pk for pk, queue, _, _ in queued if (fresh or self._due[pk].at <= now) and self._send(pk, queue, now)]

    def _plan(self, pk: int, attempt: int, sends: int, now: float) -> Due:
        due = self._due.get(pk)
        if due is None or due.attempt != attempt:
            return Due(attempt, now + (FIRST_PAUSE if sends else UNSENT_GRACE), FIRST_PAUSE)
        return due

    def _send(self, pk: int, queue: str, now: float) -> bool:
        if not messages.send(pk, queue):
            return False
        due = self._due[pk]
        due.at = now + due.pause
        due.pause = min(2 * due.pause, LONGEST_PAUSE)
        Task.objects.filter(pk=pk, state=State.QUEUED).update(**messages.about_to_send())
        return True
