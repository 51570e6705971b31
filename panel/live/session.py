"""Who is at the other end of a websocket, asked of the database each time: sessions end and rights are revoked."""

import time
from http import HTTPStatus
from importlib import import_module
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie

from panel.accounts.duties import duty_of
from panel.accounts.models import User
from panel.accounts.sessions import seen
from panel.audit.services import record

log = structlog.get_logger("mooring.live")
_AUDIT_EVERY = 60.0  # seconds between two rows about the same refusal: a page in a loop must not fill the trail
_refusals: dict[tuple[str, ...], float] = {}


def session_key(scope: dict[str, Any]) -> str:
    """The key in the session cookie; "" without one."""
    for name, value in scope.get("headers", []):
        if name.lower() == b"cookie":
            key = parse_cookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            if key:
                return str(key)
    return ""


def user_of(key: str) -> User | None:
    """The active user whose session this is, with fresh role bindings. Blocks on the database.

    None when it ended, or while the user must do something first (`panel.accounts.duties`).
    """
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active or duty_of(user):
        return None
    seen(key)
    return user


def request_of(scope: dict[str, Any], user: User | None = None) -> HttpRequest:
    """What the audit trail needs of a request: the peer's address and the user."""
    request = HttpRequest()
    client = scope.get("client")
    request.META["REMOTE_ADDR"] = client[0] if client else ""
    if user is not None:
        request.user = user
    return request


def audit_refusal(
    scope: dict[str, Any], action: str, detail: str, user: User | None = None, target: Any = None
) -> None:
    """Audit a refused attempt, at most one row a minute about the same one. Blocks on the database."""
    request = request_of(scope, user)
    # What a stranger writes into a header does not make it another refusal.
    key = (action, detail if user else "", str(request.META["REMOTE_ADDR"]), str(user.pk if user else ""))
    now = time.monotonic()
    if now - _refusals.get(key, -_AUDIT_EVERY) < _AUDIT_EVERY:
        return
    if len(_refusals) > 1000:
        _refusals.clear()
    _refusals[key] = now
    log.warning("websocket refused", action=action, detail=detail, status=HTTPStatus.FORBIDDEN)
    record(action=action, actor=user, request=request, target=target, result="refused", detail=detail)
