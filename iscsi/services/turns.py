"""One reconcile of a target at a time, whoever runs it.

A worker and the collector may both want to tell a server what it should have. Were one of them slower, it would carry
out a wish that is old by then: show a LUN again whose image is being deleted. So whoever reconciles takes the turn, and
reads what is wanted only then. A turn that its holder does not renew ends by itself.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from infrastructure.drivers.base import Conflict
from iscsi.models import Target

LASTS = timedelta(seconds=45)
RENEW_SECONDS = 10.0
PAUSE_SECONDS = 0.1


class Turn:
    """A turn that is held."""

    def __init__(self, target_id: int, token: str) -> None:
        self._target_id = target_id
        self._token = token
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew it when it is time. Conflict when it was lost: nothing more may be sent."""
        if time.monotonic() - self._renewed < RENEW_SECONDS:
            return
        mine = Target.objects.filter(pk=self._target_id, turn=self._token)
        if not mine.update(turn_until=timezone.now() + LASTS):
            raise _taken()
        self._renewed = time.monotonic()


@contextmanager
def taken(target_id: int, *, wait: float) -> Iterator[Turn]:
    """Hold the turn of a target. Conflict (retryable) when another has it for longer than ``wait`` seconds."""
    token, end = secrets.token_hex(8), time.monotonic() + wait
    while not _take(target_id, token):
        if time.monotonic() >= end:
            raise _taken()
        time.sleep(PAUSE_SECONDS)
    try:
        yield Turn(target_id, token)
    finally:
        Target.objects.filter(pk=target_id, turn=token).update(turn="", turn_until=None)


def _take(target_id: int, token: str) -> bool:
    now = timezone.now()
    # An end that lies further ahead than any turn lasts was written before the clock was set back.
    free = Q(turn="") | Q(turn_until__lt=now) | Q(turn_until__gt=now + LASTS)
    rows = Target.objects.filter(free, pk=target_id)
    return bool(rows.update(turn=token, turn_until=now + LASTS)) or not Target.objects.filter(pk=target_id).exists()


def _taken() -> Conflict:
    return Conflict(
        "The target's server is being told something else",
        code="turn-taken",
        component="tgt",
        retryable=True,
        advice="Try again in a moment.",
    )
