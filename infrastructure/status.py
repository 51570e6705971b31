"""How a node or VE is shown: one glyph, one word, and whether what is known of it is current."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from infrastructure.choices import VE_APPEARANCE, Kind, NodeState, VEState
from infrastructure.models import VE, Node
from panel.ui import format as fmt

# A node that answers is asked every few seconds; without news for this long its figures are no longer shown as current.
STALE_AFTER = timedelta(seconds=30)
FULL_PERCENT = 90

KIND_ICON: dict[str, str] = {Kind.VM: "device-desktop", Kind.CT: "box"}
KIND_SHORT: dict[str, str] = {Kind.VM: "VM", Kind.CT: "CT"}
NODE_ICON = "server-2"


@dataclass(frozen=True, slots=True)
class Status:
    """What a Status column shows. `state` is what styles and tests read, `spoken` ends an accessible name."""

    state: str
    glyph: str
    tone: str
    word: str
    spoken: str
    current: bool = True
    reason: str = ""


def memory_percent(node: Node) -> float | None:
    """Share of the node's memory in use, 0 to 100."""
    if not node.memory_bytes or node.memory_free is None:
        return None
    return 100 * (node.memory_bytes - node.memory_free) / node.memory_bytes


def full_of(node: Node) -> tuple[str, float] | None:
    """What a node has too little left of, "RAM" or "CPU", and its percentage; None when there is enough."""
    for name, value in (("RAM", memory_percent(node)), ("CPU", node.cpu_percent)):
        if value is not None and value >= FULL_PERCENT:
            return name, value
    return None


def node_status(node: Node, now: datetime | None = None) -> Status:
    """The status of a node; the word names the cause when there is one."""
    now = now or timezone.now()
    if node.state == NodeState.NEW:
        return Status("new", "queued", "idle", "Not set up", "not set up", False, node.state_reason)
    if node.state == NodeState.REFUSED:
        return Status("refused", "crit", "crit", "Identity changed", "identity changed", False, node.state_reason)
    silent = silence(node, now)
    if silent is not None:
        word = f"No contact {fmt.coarse(silent)}"
        return Status("unreachable", "unreachable", "crit", word, "unreachable", False, node.state_reason)
    if node.maintenance:
        return Status("maint", "maint", "maint", "Maintenance", "in maintenance")
    full = full_of(node)
    if full is not None:
        return Status("warn", "warn", "warn", f"{full[0]} {fmt.percent(full[1])}", "warning")
    return Status("running", "running", "ok", "Running", "running")


def silence(node: Node, now: datetime) -> float | None:
    """Seconds since a set-up node was heard, once that is too long; None while what is known is current."""
    if node.state == NodeState.UNREACHABLE:
        return fmt.seconds_since(node.unreachable_since or node.observed_at, now) or 0.0
    if node.observed_at is None:
        return fmt.seconds_since(node.onboarded_at or node.added_at, now)
    age = now - node.observed_at
    return age.total_seconds() if age > STALE_AFTER else None


def is_current(node: Node | None, now: datetime | None = None) -> bool:
    """Whether the node's figures, and those of its VEs, may be shown as current."""
    if node is None or node.state != NodeState.ONLINE:
        return False
    return silence(node, now or timezone.now()) is None


def ve_status(ve: VE, node: Node | None, now: datetime | None = None) -> Status:
    """The status of a VE. Where its node is silent, its last state is not claimed."""
    now = now or timezone.now()
    if ve.state == VEState.MISSING or node is None:
        return Status("missing", "unreachable", "crit", "Missing", "missing", False, ve.state_reason)
    if not is_current(node, now):
        silent = silence(node, now)
        word = f"No contact {fmt.coarse(silent)}" if silent is not None else node_status(node, now).word
        reason = f"{node} does not answer; last known: {ve.get_state_display()}"
        return Status("unknown", "unreachable", "idle", word, "no contact", False, reason)
    glyph, tone = VE_APPEARANCE[ve.state]
    word = ve.get_state_display()
    return Status(ve.state, glyph, tone, word, word.lower(), True, ve.state_reason)


def kind_words(ve: VE) -> str:
    """The kind as accessible names spell it."""
    return ve.get_kind_display().lower()
