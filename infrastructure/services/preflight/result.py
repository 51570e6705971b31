"""What a check says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
class DiskCopy:
    """A disk that the move has to copy. Sizes in bytes: virtual as the guest sees it, used on the source's storage.

    disk: the guest's name for it (vda), or where a container mounts it. format: raw or qcow2, "" for a folder.
    """

    disk: str
    path: str
    format: str
    virtual_bytes: int
    used_bytes: int

    @property
    def is_folder(self) -> bool:
        return not self.format


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `text` states the fact with its figure, `fix` what to do when it is not passed.

    State unknown: an engine could not be asked within its deadline. `shared_by_proof`: libvirt does not know the disks'
    folders as shared, but a marker file written on the source was read on the target. `copies`: the disks that only the
    source has.
    """

    key: str
    title: str
    state: State
    text: str = ""
    fix: str = ""
    shared_by_proof: bool = False
    copies: tuple[DiskCopy, ...] = field(default=())


def planned() -> list[Check]:
    """Every check, in the order in which they run, not yet made: what a dialog shows first."""
    return [Check(key, title, "checking") for key, title in TITLES.items()]


def blocking(checks: Iterable[Check]) -> list[Check]:
    """Those that rule the move out: failed, or not answered."""
    return [check for check in checks if check.state in ("failed", "unknown")]


def copies_of(checks: Iterable[Check]) -> tuple[DiskCopy, ...]:
    """The disks that must be copied, by all checks together."""
    return tuple(copy for check in checks for copy in check.copies)


def used_bytes(copies: Sequence[DiskCopy]) -> int:
    return sum(copy.used_bytes for copy in copies)


def passed(key: str, text: str) -> Check:
    return Check(key, TITLES[key], "passed", text)


def warning(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "warning", text, fix)


def failed(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "failed", text, fix)


def unknown(key: str, text: str, fix: str = "") -> Check:
    return Check(key, TITLES[key], "unknown", f"Could not ask: {text}", fix)
