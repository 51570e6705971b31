"""What is set for all disks of a Ceph cluster: recovery options and fill marks. Each function is one round's work."""

from collections.abc import Iterable, Mapping
from typing import Any

from storage.drivers.ceph_json import real, rows, text
from storage.drivers.ceph_round import Round
from storage.drivers.facts import RECOVERY_OPTIONS, Ratios

_MARKS = (
    ("osd set-nearfull-ratio", "nearfull_ratio", "near_full"),
    ("osd set-backfillfull-ratio", "backfillfull_ratio", "backfill_full"),
    ("osd set-full-ratio", "full_ratio", "full"),
)
_SAME = 1e-6  # marks are single-precision in Ceph's map


def recovery(dump: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The recovery options that `config dump` has for all disks; one for disks goes before one for all daemons.

    What is set for some disks only (with a mask, or for osd.3) is left out: no answer would be true of all.
    """
    found: dict[str, str] = {}
    for section in ("global", "osd"):
        for row in dump:
            if text(row, "section") == section and not text(row, "mask") and text(row, "name") in RECOVERY_OPTIONS:
                found[text(row, "name")] = _plain(text(row, "value"))
    return found


def _plain(value: str) -> str:
    """As it was set: Ceph answers 0.500000 for 0.5."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value


def set_options(ask: Round, options: Mapping[str, str | None]) -> bool:
    dump = rows(ask.ask("config dump"))
    there = {
        text(row, "name"): _plain(text(row, "value"))
        for row in dump
        if text(row, "section") == "osd" and not text(row, "mask")
    }
    changed = False
    for name, value in options.items():
        if there.get(name) == value:
            continue
        if value is None:
            ask.do("config rm", who="osd", name=name)
        else:
            ask.do("config set", who="osd", name=name, value=value)
        changed = True
    return changed


def set_marks(ask: Round, ratios: Ratios) -> bool:
    dump = ask.ask_one("osd dump")
    there = {name: real(dump, key) for _, key, name in _MARKS}
    wanted = {name: getattr(ratios, name) for name in there}
    # Raised from the top, then lowered from the bottom: so that they are in order at every moment.
    raised = [mark for mark in reversed(_MARKS) if wanted[mark[2]] - there[mark[2]] > _SAME]
    lowered = [mark for mark in _MARKS if there[mark[2]] - wanted[mark[2]] > _SAME]
    for command, _, name in (*raised, *lowered):
        ask.do(command, ratio=wanted[name])
    return bool(raised or lowered)
