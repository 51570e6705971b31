"""States of targets and LUNs and how each is shown: (glyph, tone)."""

from django.db import models


class Stage(models.TextChoices):
    """What Mooring makes of a target or a LUN; only what is READY is served."""

    CREATING = "creating", "Being created"
    READY = "ready", "Ready"
    RESTING = "resting", "Held back"  # a target that moves, a LUN that is rolled back
    REMOVING = "removing", "Being deleted"
    FAILED = "failed", "Not created"
    PARTLY = "partly", "Partly deleted"
    BROKEN = "broken", "Partly rolled back"


class ServerState(models.TextChoices):
    """What a target's server said last."""

    UNKNOWN = "unknown", "Not seen yet"
    RUNNING = "running", "Running"
    PARTLY = "partly", "Partly serving"
    FAILED = "failed", "Not running"
    STOPPED = "stopped", "Stopped"
    UNREACHABLE = "unreachable", "No contact"


SERVER_APPEARANCE: dict[str, tuple[str, str]] = {
    ServerState.UNKNOWN: ("queued", "idle"),
    ServerState.RUNNING: ("running", "ok"),
    ServerState.PARTLY: ("warn", "warn"),
    ServerState.FAILED: ("crit", "crit"),
    ServerState.STOPPED: ("stopped", "idle"),
    ServerState.UNREACHABLE: ("unreachable", "crit"),
}
STAGE_APPEARANCE: dict[str, tuple[str, str]] = {
    Stage.CREATING: ("progress", "info"),
    Stage.READY: ("ok", "ok"),
    Stage.RESTING: ("progress", "info"),
    Stage.REMOVING: ("progress", "info"),
    Stage.FAILED: ("crit", "crit"),
    Stage.PARTLY: ("warn", "warn"),
    Stage.BROKEN: ("crit", "crit"),
}


class Sharing(models.TextChoices):
    """What a target's limit is the limit of."""

    EACH = "each", "Each LUN"
    DIVIDED = "divided", "All LUNs together, divided evenly"


class RoleState(models.TextChoices):
    """The role iSCSI of a node."""

    PREPARING = "preparing", "Being prepared"
    READY = "ready", "Ready"
    FAILED = "failed", "Not prepared"
    LEAVING = "leaving", "Being taken away"
