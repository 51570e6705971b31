"""Limits on how often something may be tried, and what a browser is told that went beyond one.

Attempts at passwords and codes are counted by django-allauth in the database's cache, so that the limits hold without
Redis and over restarts. Bursts of a signed-in user are counted in this process alone: that costs no query.
"""

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

_APP = "allauth.account"
# The limit that each page keeps, by route name.
_ACTIONS = {
    "account_login": "login",
    "account_change_password": "change_password",
    "account_reauthenticate": "reauthenticate",
    "mfa_reauthenticate": "reauthenticate",
}


def seconds_left(request: HttpRequest, action: str, key: str | None = None) -> float:
    """How long until the next attempt is counted again; 0 when one is free now."""
    longest = 0.0
    now = time.time()
    for rate in ratelimit.get_rates(app=_APP, action=action):
        if rate.per == "user" and not request.user.is_authenticated:
            continue
        if rate.per == "key" and key is None:
            continue
        name = ratelimit.get_cache_key(request, app=_APP, action=action, rate=rate, key=key)
        history = [at for at in cache.get(name, []) if at > now - rate.duration]
        if len(history) >= rate.amount:
            longest = max(longest, history[rate.amount - 1] + rate.duration - now)
    return longest


def in_words(seconds: float) -> str:
    """ "in 40 s", "in 3 minutes": rounded up, so that the time is never too early."""
    if seconds <= 90:
        return f"in {max(1, math.ceil(seconds))} s"
    return f"in {math.ceil(seconds / 60)} minutes"


def too_many(request: HttpRequest, seconds: float | None = None) -> HttpResponse:
    """The page of 429; its heading, cause and time are for the limit that was reached."""
    match = request.resolver_match
    action = _ACTIONS.get(match.url_name or "", "") if match else ""
    if seconds is None:
        seconds = seconds_left(request, action) if action else 60.0
    context = {"wait": in_words(seconds), "signed_in": request.user.is_authenticated, "guarded": bool(action)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(max(1, math.ceil(seconds)))
    return response


@dataclass(frozen=True, slots=True)
class Burst:
    """So many at once, then so many a second."""

    size: int
    per_second: float


@dataclass
class Bursts:
    """What each user has left of each burst."""

    left: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, user_id: int, name: str, burst: Burst) -> float:
        """Take one; 0 when it was there, else the seconds until the next one is."""
        now = time.monotonic()
        with self.lock:
            if len(self.left) > 10_000:
                self.left.clear()
            amount, counted_at = self.left.get((user_id, name), (float(burst.size), now))
            amount = min(float(burst.size), amount + (now - counted_at) * burst.per_second)
            if amount < 1:
                self.left[user_id, name] = (amount, now)
                return (1 - amount) / burst.per_second
            self.left[user_id, name] = (amount - 1, now)
            return 0.0


# A hand on the mouse never gets there; a script that runs wild does. Consoles cost an SSH channel each.
CHANGES = Burst(300, 20.0)
TICKETS = Burst(30, 1.0)
_bursts = Bursts()


def refuse_burst(request: HttpRequest, route_name: str) -> HttpResponse | None:
    """429 when a signed-in user sends changes, or asks for consoles, faster than a person can."""
    user: Any = request.user
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    is_ticket = "ticket" in route_name
    seconds = _bursts.wait(user.pk, "ticket" if is_ticket else "change", TICKETS if is_ticket else CHANGES)
    return too_many(request, seconds) if seconds else None
