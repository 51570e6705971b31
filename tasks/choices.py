"""Values of the task models, with their labels and colours."""

from django.db import models


class State(models.TextChoices):
    """States of a task; the last six are final."""

    WAITING = "waiting", "Waiting"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    WARNING = "warning", "Completed, warnings"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Error in Mooring"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"


OPEN_STATES = frozenset({State.WAITING, State.QUEUED, State.RUNNING})
FINAL_STATES = frozenset(set(State) - OPEN_STATES)

# state → (glyph, CSS tone): colour never stands alone, the glyph and the word go with it.
APPEARANCE: dict[str, tuple[str, str]] = {
    State.WAITING: ("queued", "idle"),
    State.QUEUED: ("queued", "idle"),
    State.RUNNING: ("progress", "info"),
    State.COMPLETED: ("completed", "ok"),
    State.WARNING: ("warn", "warn"),
    State.FAILED: ("crit", "crit"),
    State.ERRORED: ("crit", "crit"),
    State.CANCELLED: ("cancelled", "idle"),
    State.LOST: ("unreachable", "crit"),
}


class StepState(models.TextChoices):
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    WARNING = "warning", "Completed, warnings"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"


class Level(models.TextChoices):
    INFO = "info", "Message"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"
    COMMAND = "command", "Equivalent command"


class UndoState(models.TextChoices):
    NONE = "", "No undo"
    SAVED = "saved", "Saved"
    DONE = "done", "Undone"
    FAILED = "failed", "Undo failed"
    DROPPED = "dropped", "Not needed"
