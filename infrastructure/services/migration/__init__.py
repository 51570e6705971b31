"""Moving a VE to another node: `start` for people, the rest for the job."""

from infrastructure.services.migration.estimate import Pause, expected_pause
from infrastructure.services.migration.execution import (
    Checked,
    abort,
    check,
    commit,
    execute,
    record_whereabouts,
    restore_autostart,
    verify,
)
from infrastructure.services.migration.plan import MigrationOptions, Plan, plan
from infrastructure.services.migration.request import (
    KINDS,
    as_child,
    authorize_targets,
    moves_live,
    start,
)
from infrastructure.services.migration.whereabouts import Whereabouts, locate

__all__ = [
    "KINDS",
    "Checked",
    "MigrationOptions",
    "Pause",
    "Plan",
    "Whereabouts",
    "abort",
    "as_child",
    "authorize_targets",
    "check",
    "commit",
    "execute",
    "expected_pause",
    "locate",
    "moves_live",
    "plan",
    "record_whereabouts",
    "restore_autostart",
    "start",
    "verify",
]
