"""Roles and the permissions each one holds: the one table of rights."""

from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMINISTRATOR = "administrator", "Administrator"


_VIEW = {"infrastructure.view", "storage.view", "iscsi.view", "task.view", "health.view", "account.self"}
_OPERATE = {"ve.operate", "ve.migrate", "ve.console", "node.operate", "task.cancel"}
_ADMINISTER = {"node.manage", "storage.manage", "iscsi.manage", "user.manage", "audit.view", "view.share"}

GRANTS: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset(_VIEW),
    Role.OPERATOR: frozenset(_VIEW | _OPERATE),
    Role.ADMINISTRATOR: frozenset(_VIEW | _OPERATE | _ADMINISTER),
}
PERMISSIONS: frozenset[str] = GRANTS[Role.ADMINISTRATOR]
# Rights that have no part of the tree: a binding to one node never carries them.
SYSTEM_WIDE: frozenset[str] = frozenset(
    {"user.manage", "view.share", "storage.view", "storage.manage", "iscsi.view", "iscsi.manage"}
)
