"""Which entries of the trail a user may see: all, or what concerns the parts of the tree they administer."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import CharField, Q, QuerySet

from panel.accounts.models import User
from panel.accounts.scopes import Covered, register_rows, visible
from panel.audit.models import AuditRecord


def _narrow(covered: Covered) -> Q:
    """Entries about an object of the covered parts, and what the user did themselves."""
    return covered.targets("target_type", "target_id", CharField()) | Q(actor=covered.user)


register_rows(AuditRecord, _narrow)


def records_for(user: User | AnonymousUser) -> QuerySet[AuditRecord]:
    """The entries that this user may see."""
    return visible(user, "audit.view", AuditRecord.objects.all())
