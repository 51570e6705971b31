"""How a target is shown: one glyph, one word, and whether what is known of it is current."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from infrastructure.status import STALE_AFTER, Status
from iscsi.choices import ServerState, Stage
from iscsi.models import Lun, Portal, Target
from panel.ui import format as fmt


def target_status(target: Target, now: datetime | None = None) -> Status:
    """Its state; of a ready one as its server said it last, unless that is too long ago to be true still."""
    if target.stage != Stage.READY:
        return Status(target.stage, target.glyph, target.tone, target.words, target.words.lower(), False)
    if target.state in (ServerState.UNREACHABLE, ServerState.UNKNOWN):
        return Status(target.state, target.glyph, target.tone, target.words, target.words.lower(), False, target.reason)
    age = (now or timezone.now()) - target.checked_at if target.checked_at else None
    if age is None or age > STALE_AFTER:
        last = f"The last look was {fmt.coarse(age.total_seconds())} ago" if age is not None else "Not looked at yet"
        return Status("unknown", "unreachable", "idle", "No data", "no data", False, last)
    return Status(target.state, target.glyph, target.tone, target.words, target.words.lower(), True, target.reason)


def lun_status(lun: Lun, now: datetime | None = None) -> Status:
    """Its state; whether it is served is known only while its target's server answers."""
    at = lun.target
    if at is not None and lun.stage == Stage.READY and not (known := target_status(at, now)).current:
        return Status("unknown", "unreachable", "idle", "No data", "no data", False, known.reason)
    return Status(lun.stage, lun.glyph, lun.tone, lun.words, lun.words.lower(), True, lun.reason)


def session_status(target: Target, now: datetime | None = None) -> Status:
    """The state of its sessions: connected only while the target's server says so."""
    known = target_status(target, now)
    return Status("connected", "ok", "ok", "Connected", "connected") if known.current else known


def initiators_of(target: Target) -> list[tuple[str, list[str]]]:
    """Who is connected: the name that each claims, with its addresses."""
    found: dict[str, set[str]] = {}
    for session in target.sessions:
        found.setdefault(str(session.get("initiator", "")), set()).add(str(session.get("address", "")))
    return [(name, sorted(addresses)) for name, addresses in sorted(found.items())]


def limit_words(target: Target) -> str:
    """ "2,000 IOPS, 200 MB/s each LUN"; "" without limits."""
    parts = [f"{target.limit_iops:,} IOPS"] if target.limit_iops else []
    parts += [f"{target.limit_mbps:,} MB/s"] if target.limit_mbps else []
    return f"{', '.join(parts)} {'each LUN' if target.sharing == 'each' else 'divided'}" if parts else ""


def addresses_of(portals: Sequence[Portal]) -> list[str]:
    return [portal.address for portal in portals]
