"""The one place that answers "may this user do that to this object?"."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from panel.accounts.models import RoleBinding, User
from panel.accounts.roles import GRANTS, PERMISSIONS, SYSTEM_WIDE

View = TypeVar("View", bound=Callable[..., Any])
PUBLIC = "public"


def bindings_with(user: User | AnonymousUser | None, permission: str) -> list[RoleBinding]:
    """The user's bindings that carry the permission, each over its part of the tree.

    Raises ValueError for a permission that does not exist, so that a typing error never grants or hides anything.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"unknown permission {permission!r}")
    if not isinstance(user, User) or not user.is_active:
        return []
    return [
        binding
        for binding in user.role_bindings.all()
        if permission in GRANTS.get(binding.role, frozenset())
        and not (binding.scope_type and permission in SYSTEM_WIDE)
    ]


def can(user: User | AnonymousUser | None, permission: str, obj: object | None = None) -> bool:
    """Whether the user holds the permission over the object (None: over the whole system). Raises ValueError."""
    return any(binding.covers(obj) for binding in bindings_with(user, permission))


def can_anywhere(user: User | AnonymousUser | None, permission: str) -> bool:
    """Whether the user holds the permission over any part of the tree at all (to admit to a list page)."""
    return bool(bindings_with(user, permission))


def require(user: User | AnonymousUser | None, permission: str, obj: object | None = None) -> None:
    """Raise PermissionDenied, with words for the user, unless `can(...)`."""
    if not can(user, permission, obj):
        name = getattr(user, "username", "") or "An anonymous visitor"
        raise PermissionDenied(
            f"{name} lacks the permission {permission}. Ask an administrator for a role that has it."
        )


def requires(permission: str) -> Callable[[View], View]:
    """Declare the permission of a view; the default-deny middleware enforces it before the view runs.

    The middleware admits a user who holds it anywhere; a view about one object asks `require(user, permission, obj)`
    again through its service.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"unknown permission {permission!r}")

    def declare(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return declare


def public(view: View) -> View:
    """Declare that a view needs no login."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, *args, **kwargs)

    wrapper.permission = PUBLIC  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]
