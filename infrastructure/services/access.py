"""The door of every service: the right to do it, and a row in the audit trail when it is lacking."""

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest

from panel.accounts.models import User
from panel.accounts.permissions import require
from panel.audit.services import record


def authorize(
    *,
    user: User | AnonymousUser | None,
    permission: str,
    action: str,
    obj: Model | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Raise PermissionDenied, and record the refused attempt, unless the user holds the permission over the object."""
    try:
        require(user, permission, obj)
    except PermissionDenied as refusal:
        record(action=action, actor=user, request=request, target=obj, result="refused", detail=str(refusal))
        raise
