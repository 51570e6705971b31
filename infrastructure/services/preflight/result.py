"""What a check says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["checking", "passed", "warning", "failed", "unknown"]

TITLES: dict[str, str] = {
    "online": "Target online",
    "maintenance": "Not in maintenance",
    "state": "VE in a state to move",
    "place": "Free on the target",
    "memory": "Memory",
    "cpu": "CPU",
    "networks": "Networks",
    "disks": "Disks",
    "media": "Media",
    "snapshots": "Snapshots",
    "devices": "Devices",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `text` states the fact with its figure, `fix` what to do when it is not passed.

    State unknown: an engine could not be asked within its deadline. `shared_by_proof`: libvirt does not know the disks'
    folders as shared, but a marker file written on the source was read on the target.
    """

    key: str
    title: str
    state: State
    text: str = ""
    fix: str = ""
    shared_by_proof: bool = False


def planned() -> list[Check]:
    """Every check, in the order in which they run, not yet made: what a dialog shows first."""
    return [Check(key, title, "checking") for key, title in TITLES.items()]


def blocking(checks: Iterable[Check]) -> list[Check]:
    """Those that rule the move out: failed, or not answered."""
    return [check for check in checks if check.state in ("failed", "unknown")]


def passed(key: str, text: str) -> Check:
    return Check(key, TITLES[key], "passed", text)


def warning(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "warning", text, fix)


def failed(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "failed", text, fix)


def unknown(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "unknown", f"Could not ask: {text}", fix)
