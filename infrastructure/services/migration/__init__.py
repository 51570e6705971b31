"""Moving a VE to another node: `start` for people, the rest for the job."""

from infrastructure.services.migration.execution import (
    abort,
    check,
    commit,
    execute,
    record_whereabouts,
    restore_autostart,
    verify,
)
from infrastructure.services.migration.plan import MigrationOptions, Plan, plan
from infrastructure.services.migration.request import start
from infrastructure.services.migration.whereabouts import Whereabouts, locate

__all__ = [
    "MigrationOptions",
    "Plan",
    "Whereabouts",
    "abort",
    "check",
    "commit",
    "execute",
    "locate",
    "plan",
    "record_whereabouts",
    "restore_autostart",
    "start",
    "verify",
]
