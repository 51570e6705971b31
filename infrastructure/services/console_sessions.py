"""Open consoles: who has one, whether they may keep it, and what of it goes into the audit trail."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max, prefetch_related_objects
from django.http import HttpRequest
from django.utils import timezone

from infrastructure.choices import ConsoleKind
from infrastructure.models import VE, ConsoleSession
from infrastructure.services.errors import ServiceError
from panel.accounts.models import User
from panel.accounts.permissions import can
from panel.audit.services import record
from panel.live.poke import poke
from panel.live.session import user_of
from panel.ui.format import count, duration, space

log = structlog.get_logger("mooring.console")
PERMISSION = "ve.console"
MOST_CHARACTERS = 1 << 20
_KEYS = re.compile(r"[A-Za-z0-9]{1,20}(\+[A-Za-z0-9]{1,20}){0,4}")


class BadNote(ServiceError):
    """What a console page says it sends is not one of the things its buttons send."""


@dataclass(frozen=True, slots=True)
class Open:
    """An open console as its web process holds it."""

    session_id: int
    session_key: str
    ve_id: int


def opened(
    *, user: User, ve: VE, kind: ConsoleKind, node: str, request: HttpRequest | None = None, forced: bool = False
) -> ConsoleSession:
    """Write down that a console was opened; pages that show the same VE learn of it."""
    now = timezone.now()
    with transaction.atomic():
        session = ConsoleSession.objects.create(
            user=user, username=user.username, ve=ve, kind=kind, node_name=node, opened_at=now, seen_at=now
        )
        taken = ", taken over from another program" if forced else ""
        record(action="ve.console.open", actor=user, request=request, target=ve, detail=f"{kind} on {node}{taken}")
        _tell(ve.pk, now)
    return session


def closed(
    *,
    session: ConsoleSession,
    user: User,
    reason: str,
    to_guest: int,
    from_guest: int,
    request: HttpRequest | None = None,
) -> None:
    """Write down that it was closed, how long it was open and how many bytes passed."""
    now = timezone.now()
    if not User.objects.filter(pk=user.pk).exists():
        user.pk = None  # deleted meanwhile: the trail keeps the name
    with transaction.atomic():
        session.closed_at, session.to_guest, session.from_guest = now, to_guest, from_guest
        found = ConsoleSession.objects.filter(pk=session.pk)
        found.update(closed_at=now, seen_at=now, to_guest=to_guest, from_guest=from_guest)
        took = duration((now - session.opened_at).total_seconds())
        detail = f"{session.kind} on {session.node_name}, {took}, {space(to_guest)} sent, {space(from_guest)} received"
        record(
            action="ve.console.close",
            actor=user,
            request=request,
            target=session.ve,
            detail=f"{detail}: {reason}" if reason else detail,
        )
        _tell(session.ve_id, now)


def sent(*, user: User, ve: VE, note: dict[str, Any], request: HttpRequest | None = None) -> None:
    """Audit what a button of the console page is about to send; never the text itself.

    ``note``: {"what": "keys", "keys": "Control+Alt+Delete"}, {"what": "paste" | "clipboard", "characters": 120} or
    {"what": "size", "columns": 120, "rows": 40}. Raises BadNote for anything else.
    """
    match note:
        case {"what": "keys", "keys": str(keys)} if _KEYS.fullmatch(keys):
            action, detail = "ve.console.keys", keys
        case {"what": "paste" | "clipboard" as what, "characters": int(number)} if 0 < number <= MOST_CHARACTERS:
            place = "typed" if what == "paste" else "into the guest's clipboard"
            action, detail = "ve.console.paste", f"{count(number, 'character')}, {place}"
        case {"what": "size", "columns": int(columns), "rows": int(rows)} if 0 < columns <= 1000 and 0 < rows <= 1000:
            action, detail = "ve.console.size", f"stty rows {rows} cols {columns}"
        case _:
            raise BadNote("The console page sent a note that is not known", advice="Reload the page.")
    record(action=action, actor=user, request=request, target=ve, detail=detail)


def may_stay(user: User | None, ve: VE | None) -> bool:
    """Whether an open console may go on: the user is still one, the VE still known, and the right still there."""
    return user is not None and ve is not None and can(user, PERMISSION, ve)


def to_end(consoles: Collection[Open]) -> set[int]:
    """The session ids of those that must end now. A few queries for each signed-in session, whatever their number."""
    users: dict[str, User | None] = {}
    for key in {console.session_key for console in consoles}:
        users[key] = user = user_of(key)
        if user is not None:
            prefetch_related_objects([user], "role_bindings")
    ves = VE.objects.only("id", "node_id").in_bulk({console.ve_id for console in consoles})
    return {
        console.session_id for console in consoles if not may_stay(users[console.session_key], ves.get(console.ve_id))
    }


def keep_alive(session_ids: Collection[int]) -> None:
    """Say that these are open, and close the rows of web processes that no longer say so of theirs."""
    now = timezone.now()
    ConsoleSession.objects.filter(pk__in=session_ids, closed_at=None).update(seen_at=now)
    left = ConsoleSession.objects.filter(closed_at=None, seen_at__lt=now - ConsoleSession.SILENT_AFTER)
    for session in left.select_related("ve", "user"):
        with transaction.atomic():
            if not ConsoleSession.objects.filter(pk=session.pk, closed_at=None).update(closed_at=session.seen_at):
                continue
            detail = f"{session.kind} on {session.node_name}: the web process ended"
            record(action="ve.console.close", actor=session.user, target=session.ve, detail=detail)
            _tell(session.ve_id, now)


def open_now(ve_id: int) -> list[dict[str, Any]]:
    """Who has a console of this VE open: [{"session", "user", "kind", "since"}], the oldest first."""
    return [
        {"session": row.pk, "user": row.username, "kind": row.kind, "since": row.opened_at.isoformat()}
        for row in ConsoleSession.objects.current().filter(ve_id=ve_id)
    ]


def revision(ve_id: int) -> int:
    """A number that grows when a console of this VE is opened or closed; 0 when none ever was."""
    found = ConsoleSession.objects.filter(ve_id=ve_id).aggregate(opened=Max("opened_at"), closed=Max("closed_at"))
    return max((_number(at) for at in found.values() if at is not None), default=0)


def _tell(ve_id: int, at: datetime) -> None:
    transaction.on_commit(lambda: poke(f"console:{ve_id}", _number(at)), robust=True)


def _number(at: datetime) -> int:
    return int(at.timestamp() * 1000)  # a number of JavaScript too
