"""Sessions of a user: the list, when each was last seen, and their end.

A session is a row of Django's session table; a `UserSession` beside it says whose it is and from where. Ending one
deletes both: its next page leads to the login, and its sockets ask for it every 4.5 s (`panel.live.session`).
"""

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.http import HttpRequest
from django.utils import timezone

from panel.accounts.models import User

log = structlog.get_logger("mooring.accounts")
UNKNOWN_ADDRESS = "::"
FLUSH_SECONDS = 15.0
_seen: dict[str, tuple[datetime, str]] = {}
_lock = threading.Lock()

_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chromium"), ("Version", "Safari"))
_SYSTEMS = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iPadOS"))
_MORE_SYSTEMS = (("Macintosh", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session as a page shows it."""

    id: int
    browser: str
    agent: str
    address: str
    since: datetime
    last_seen: datetime
    current: bool


def started(request: HttpRequest, user: User) -> None:
    """Remember whose session it is and from where; called at each sign-in, also by the command line and tests."""
    if not request.session.session_key:
        request.session.save()
    UserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "ip": request.META.get("REMOTE_ADDR") or UNKNOWN_ADDRESS,
            "user_agent": request.META.get("HTTP_USER_AGENT", "")[:200],
            "last_seen_at": timezone.now(),
        },
    )
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


def seen(session_key: str | None, address: str = "") -> None:
    """Note a sign of life; costs no query. `flush` writes it down."""
    if session_key:
        with _lock:
            known = _seen.get(session_key)
            _seen[session_key] = (timezone.now(), address or (known[1] if known else ""))


def flush() -> None:
    """Write down when each session was last seen, and from where; what cannot be written is kept for the next time."""
    with _lock:
        pending = dict(_seen)
        _seen.clear()
    try:
        for key, (at, address) in pending.items():
            values = {"last_seen_at": at, "ip": address} if address else {"last_seen_at": at}
            UserSession.objects.filter(session_key=key).update(**values)
    except (DatabaseError, InterfaceError) as error:
        log.warning("signs of life of sessions wait: the database does not take them", error=str(error))
        with _lock:
            for key, sign in pending.items():
                _seen.setdefault(key, sign)


def keep_flushing() -> None:
    """Flush every 15 s in a thread of its own: a locked database must not hold up a page that only reads."""

    def work() -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            if _seen:
                flush()
                close_old_connections()

    threading.Thread(target=work, name="sessions", daemon=True).start()


def sessions_of(user: User, current_key: str | None = None) -> list[SessionRow]:
    """The user's sessions that are open, the one that asks first, then the ones last seen first. Two queries."""
    rows = list(UserSession.objects.filter(user=user))
    keys = [row.session_key for row in rows]
    open_keys = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list(
            "session_key", flat=True
        )
    )
    shown = [_row(row, current_key) for row in rows if row.session_key in open_keys]
    return sorted(shown, key=lambda row: (not row.current, -row.last_seen.timestamp()))


def end(user: User, *, ids: Iterable[int] | None = None, keep: str | None = None) -> int:
    """End these sessions of the user, or all but the one whose key is `keep`. Returns how many ended."""
    rows = UserSession.objects.filter(user=user)
    if ids is not None:
        rows = rows.filter(pk__in=list(ids))
    if keep:
        rows = rows.exclude(session_key=keep)
    keys = list(rows.values_list("session_key", flat=True))
    ended = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).count()
    Session.objects.filter(session_key__in=keys).delete()
    rows.delete()
    return ended


def browser_of(agent: str) -> str:
    """ "Firefox 140 on Linux" of a User-Agent; its first word when it is none of a known browser."""
    browser = ""
    for token, name in _BROWSERS:
        found = re.search(rf"{token}\w*/(\d+)", agent)
        if found:
            browser = f"{name} {found[1]}"
            break
    system = next((name for token, name in (*_SYSTEMS, *_MORE_SYSTEMS) if token in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or agent.split("/")[0].split(" ")[0][:40] or "Unknown browser"


def _row(row: UserSession, current_key: str | None) -> SessionRow:
    with _lock:
        at, address = _seen.get(row.session_key, (datetime.min.replace(tzinfo=UTC), ""))
    shown = address or row.ip
    return SessionRow(
        id=row.pk,
        browser=browser_of(row.user_agent),
        agent=row.user_agent,
        address="" if shown == UNKNOWN_ADDRESS else shown,
        since=row.created_at,
        last_seen=max(at, row.last_seen_at),
        current=bool(current_key) and row.session_key == current_key,
    )


SESSION_HOURS = settings.SESSION_COOKIE_AGE // 3600
