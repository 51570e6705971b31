"""The cluster's own log as Ceph tells it (`ceph log last`), read into facts."""

from datetime import UTC, datetime
from typing import Any

from infrastructure.drivers.errors import NotSupported, Refused
from storage.drivers.ceph_json import rows, text
from storage.drivers.ceph_round import Round
from storage.drivers.facts import Event

LINES = 50
_MOST_CHARACTERS = 500
_SEVERITY = {"[INF]": "info", "[SEC]": "security", "[WRN]": "warning", "[ERR]": "error"}


def ask(round_: Round) -> tuple[Event, ...] | None:
    """The last lines of the log, the oldest first; None where the cluster does not let the panel read them."""
    try:
        return events(round_.ask("log last", num=LINES, level="info", channel="cluster"))
    except (Refused, NotSupported):
        return None


def events(answer: Any) -> tuple[Event, ...]:
    found = (_event(row) for row in rows({"lines": answer}, "lines"))
    return tuple(event for event in found if event is not None)


def _event(row: dict[str, Any]) -> Event | None:
    try:
        at = datetime.fromisoformat(text(row, "stamp"))
    except ValueError:
        return None
    words = "".join(letter if letter.isprintable() else " " for letter in text(row, "message"))[:_MOST_CHARACTERS]
    severity = _SEVERITY.get(text(row, "priority"), "info")
    return Event((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(), severity, words.strip())
