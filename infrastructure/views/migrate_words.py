"""What the Migrate dialog says: its modes, its checks, and what the move will mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infrastructure.choices import VEState
from infrastructure.models import VE, Node
from infrastructure.services import migration, preflight
from infrastructure.services.figures import duration, memory
from infrastructure.services.preflight import Check, DiskCopy
from panel.ui import format as fmt

Mode = Literal["live", "offline"]
GLYPHS = {"passed": "ok", "warning": "warn", "failed": "crit", "unknown": "unreachable", "checking": "progress"}
PAUSED = "It is paused; resume it first"
_OFFER = 300  # ms, the pause a form begins with


@dataclass(frozen=True, slots=True)
class ModeChoice:
    """One way to move. `reason`: why it cannot be chosen."""

    value: Mode
    label: str
    words: str
    chosen: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A check as the dialog lists it; `fix` is empty where it would repeat the one above."""

    check: Check
    glyph: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one target, and what they add up to."""

    target: Node
    entries: list[ShownCheck]
    passed: int
    blocking: int
    pending: bool = False

    @property
    def tone(self) -> str:
        return "info" if self.pending else "crit" if self.blocking else "ok"

    @property
    def words(self) -> str:
        return "Checking" if self.pending else f"{self.passed} of {len(self.entries)}"

    @property
    def reason(self) -> str:
        """Why the move cannot be started now; empty when it can."""
        if self.pending:
            return f"The checks on {self.target} are running"
        if self.blocking:
            return f"{fmt.count(self.blocking, 'check')} on {self.target} did not pass"
        return ""


def to_be_made(target: Node) -> Checks:
    """The checks before any is made."""
    return Checks(target, [ShownCheck(check, GLYPHS[check.state]) for check in preflight.planned()], 0, 0, pending=True)


def shown(target: Node, checks: list[Check]) -> Checks:
    """The checks that were made."""
    entries, said = [], ""
    for check in checks:
        fix = check.fix if check.state != "passed" and check.fix != said else ""
        entries.append(ShownCheck(check, GLYPHS[check.state], fix))
        said = check.fix or said
    passed = sum(check.state in ("passed", "warning") for check in checks)
    return Checks(target, entries, passed, len(preflight.blocking(checks)))


def modes_of(ve: VE, chosen: Mode, entered: Mapping[str, Any]) -> list[ModeChoice]:
    """Live and offline, each with what it means for this VE."""
    reason = ""
    if not ve.is_vm:
        reason = "libvirt moves containers offline only"
    elif ve.state == VEState.PAUSED:
        reason = PAUSED
    elif not migration.moves_live(ve):
        reason = f"{ve} does not run"
    pause = _number(entered.get("max_downtime_ms"), _OFFER)
    offline = f"Shuts down, moves, starts again: {_about(ve)}" if ve.state != VEState.STOPPED else "Stays stopped"
    return [
        ModeChoice("live", "Live", reason or f"Keeps running, pauses under {pause:,} ms", chosen == "live", reason),
        ModeChoice("offline", "Offline", offline, chosen == "offline", PAUSED if ve.state == VEState.PAUSED else ""),
    ]


def consequence(ve: VE, mode: Mode, entered: Mapping[str, Any], copies: Sequence[DiskCopy]) -> str:
    """What the move will do, for the dialog's foot."""
    size = preflight.used_bytes(copies)
    disks = "Disks stay in place."
    if copies:
        disks = f"Copies {memory(size)} of disks, encrypted"
        disks += f", and deletes them on {ve.node}." if "delete_source" in entered else f"; {ve.node} keeps its copy."
    if mode == "live":
        return f"{ve} keeps running. Copies up to {memory(ve.memory_bytes or 0)} of RAM, encrypted. {disks}"
    if ve.state == VEState.STOPPED:
        return f"{ve} stays stopped. {disks}"
    rate = _number(entered.get("bandwidth_mib"), 0)
    return f"{ve} is shut down and does not run for {_about(ve, size, rate)}. {disks}"


def _about(ve: VE, size: int = 0, bandwidth_mib: int = 0) -> str:
    pause = migration.expected_pause(ve, size, bandwidth_mib)
    return f"about {duration(pause.seconds)}{' as measured before' if pause.measured else ''}"


def _number(value: Any, fallback: int) -> int:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else fallback
