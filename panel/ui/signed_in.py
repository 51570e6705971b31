"""The user of a request whose view declares a permission."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from panel.accounts.models import User


def user_of(request: HttpRequest) -> User:
    """The signed-in user; the default-deny middleware lets nobody else come this far."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Sign in first.")
    return request.user
