"""Values of the infrastructure models, with label, glyph and CSS tone."""

from django.db import models


class Kind(models.TextChoices):
    VM = "vm", "Virtual machine"
    CT = "ct", "Container"


class VEState(models.TextChoices):
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"
    PAUSED = "paused", "Paused"
    MIGRATING = "migrating", "Migrating"
    STOPPING = "stopping", "Stopping"
    CRASHED = "crashed", "Crashed"
    MISSING = "missing", "Missing"
    UNKNOWN = "unknown", "Unknown"


class ConsoleKind(models.TextChoices):
    SCREEN = "screen", "Screen"  # a VM's display
    TEXT = "text", "Text"  # a VM's serial port, a container's console


class NodeState(models.TextChoices):
    NEW = "new", "Not set up"
    ONLINE = "online", "Running"
    UNREACHABLE = "unreachable", "No contact"
    REFUSED = "refused", "Identity changed"


VE_APPEARANCE: dict[str, tuple[str, str]] = {
    VEState.RUNNING: ("running", "ok"),
    VEState.STOPPED: ("stopped", "idle"),
    VEState.PAUSED: ("paused", "warn"),
    VEState.MIGRATING: ("migrating", "info"),
    VEState.STOPPING: ("progress", "info"),
    VEState.CRASHED: ("crit", "crit"),
    VEState.MISSING: ("unreachable", "crit"),
    VEState.UNKNOWN: ("unreachable", "idle"),
}
NODE_APPEARANCE: dict[str, tuple[str, str]] = {
    NodeState.NEW: ("queued", "idle"),
    NodeState.ONLINE: ("running", "ok"),
    NodeState.UNREACHABLE: ("unreachable", "crit"),
    NodeState.REFUSED: ("crit", "crit"),
}
