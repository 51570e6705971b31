"""What was observed of targets: the one place that writes it to the rows. Nothing here asks a server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from iscsi.choices import ServerState, Stage
from iscsi.differences import Wanted
from iscsi.drivers.facts import ServerFacts
from iscsi.models import IscsiRevision, Lun, Target
from iscsi.services.announcing import announce

FRESH = timedelta(seconds=10)  # how old "checked" may become while nothing changes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a target. `served`: the LUNs that initiators have."""

    state: str
    reason: str = ""
    served: frozenset[int] = frozenset()
    sessions: tuple[tuple[str, str], ...] = ()  # (initiator, address)
    lun_reasons: Mapping[int, str] = field(default_factory=dict)


def verdict(wanted: Wanted, found: ServerFacts | None, failed: Mapping[int, str] | None = None) -> Verdict:
    """Judge what a server told. failed: LUN → why it could not be shown. Pure.

    Running only because the server said so: that it has the target, is open, and shows every LUN.
    """
    reasons = failed or {}
    if found is None or not found.running:
        if wanted.target is None:
            return Verdict(ServerState.STOPPED)
        why = found.waiting if found is not None else "Its node keeps no server for it"
        return Verdict(ServerState.FAILED, why or "Its server does not run", lun_reasons=reasons)
    if found.error is not None:
        return Verdict(ServerState.FAILED, str(found.error), lun_reasons=reasons)
    target = found.target
    if wanted.target is None or target is None or target.iqn != wanted.target.iqn:
        if wanted.target is None:
            return Verdict(ServerState.RUNNING, "It should not run; it is being stopped")
        return Verdict(ServerState.FAILED, "Its server was started anew and has no target yet", lun_reasons=reasons)
    images = {(lun.number, lun.pool, lun.image) for lun in target.luns if lun.online}
    served = frozenset(lun.number for lun in wanted.target.luns if (lun.number, lun.pool, lun.image) in images)
    sessions = tuple(sorted((each.initiator, each.address) for each in target.sessions))
    missing = [lun.number for lun in wanted.target.luns if lun.number not in served]
    if missing:
        words = ", ".join(map(str, missing))
        why = next((reasons[number] for number in missing if number in reasons), "")
        text = f"LUN {words} {'is' if len(missing) == 1 else 'are'} not served{f': {why}' if why else ''}"
        return Verdict(ServerState.PARTLY, text, served, sessions, reasons)
    if target.initiators is None:
        return Verdict(ServerState.PARTLY, "Nobody may log in yet", served, sessions)
    return Verdict(ServerState.RUNNING, "", served, sessions)


def record(target_id: int, said: Verdict, at: datetime | None = None) -> int | None:
    """Write a verdict; returns the new revision, None when no page would show anything new."""
    at = at or timezone.now()
    with transaction.atomic():
        row = Target.objects.select_for_update().filter(pk=target_id).first()
        if row is None or _newer(row.checked_at, at):
            return None
        news: dict[str, Any] = {
            "state": said.state,
            "reason": said.reason,
            "sessions": [{"initiator": initiator, "address": address} for initiator, address in said.sessions],
        }
        changed = {name: value for name, value in news.items() if getattr(row, name) != value}
        luns = _changed_luns(row, said)
        if not changed and not luns:
            if row.checked_at is None or at - row.checked_at > FRESH:
                Target.objects.filter(pk=row.pk).update(checked_at=at)
            return None
        rev = IscsiRevision.bump()
        Target.objects.filter(pk=row.pk).update(checked_at=at, rev=rev, **changed)
        for lun in luns:
            lun.rev = rev
        Lun.objects.bulk_update(luns, ["served", "reason", "rev"])
        announce()
    return rev


def mark_unreachable(target_ids: Iterable[int], reason: str) -> None:
    """Record that the node of these targets does not answer; what was known of their sessions is old then."""
    with transaction.atomic():
        news = Target.objects.filter(pk__in=list(target_ids)).exclude(state=ServerState.UNREACHABLE, reason=reason)
        if news.exists():
            news.update(state=ServerState.UNREACHABLE, reason=reason, rev=IscsiRevision.bump())
            announce()


def known_reasons(target: Target) -> dict[int, str]:
    """LUN → why it could not be shown. A look tells only that it is missing; who tried to show it knew the cause."""
    rows = target.luns.filter(served=False).exclude(reason="").exclude(number=None)
    return {number: reason for number, reason in rows.values_list("number", "reason") if number is not None}


def _changed_luns(row: Target, said: Verdict) -> list[Lun]:
    changed = []
    for lun in row.luns.exclude(number=None):
        served = lun.stage == Stage.READY and lun.number in said.served
        why = "" if served or lun.number is None else said.lun_reasons.get(lun.number, "")
        if (lun.served, lun.reason) != (served, why):
            lun.served, lun.reason = served, why
            changed.append(lun)
    return changed


def _newer(known: datetime | None, at: datetime) -> bool:
    """Whether something newer is written already; what lies in the future was written while the clock was wrong."""
    return known is not None and at < known < timezone.now() + timedelta(minutes=1)
