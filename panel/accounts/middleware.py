"""Default deny: a view that declares no permission answers nobody."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from panel.accounts import duties, limits, sessions
from panel.accounts.permissions import PUBLIC, can_anywhere
from panel.audit.services import record

# Third-party views that cannot carry our decorator, by route name.
DECLARED_BY_NAME = {
    "account_login": PUBLIC,
    "account_logout": PUBLIC,  # it also ends a sign-in that stopped at its second step
    "account_change_password": "account.self",
    "account_reauthenticate": "account.self",
    # The second step of a sign-in: there is no user yet, only a password that was right.
    "mfa_authenticate": PUBLIC,
    "mfa_reauthenticate": "account.self",
    "mfa_index": "account.self",
    "mfa_activate_totp": "account.self",
    "mfa_deactivate_totp": "account.self",
    "mfa_view_recovery_codes": "account.self",
    "mfa_generate_recovery_codes": "account.self",
}


def declared_permission(view: Any, route_name: str | None) -> str | None:
    """The permission a route declares, or None when it declares none."""
    if route_name in DECLARED_BY_NAME:
        return DECLARED_BY_NAME[route_name]
    declared = getattr(view, "permission", None)
    if declared is None:
        declared = getattr(getattr(view, "view_class", None), "permission", None)
    return declared if isinstance(declared, str) else None


class DefaultDenyMiddleware:
    """Ask for login, the user's duties and the declared permission before any view runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        match = request.resolver_match
        name = (match.url_name if match else None) or ""
        permission = declared_permission(view, name)
        if permission is None:
            raise PermissionDenied(
                "This page declares no permission, so nobody may open it. This is a fault of Mooring."
            )
        if permission == PUBLIC:
            return None
        if not request.user.is_authenticated:
            return _to_login(request)
        sessions.seen(request.session.session_key, request.META.get("REMOTE_ADDR", ""))
        prefetch_related_objects([request.user], "role_bindings")  # read once, however many rights a page asks about
        if not can_anywhere(request.user, permission):
            record(
                action=f"{request.method} {request.path}",
                request=request,
                result="refused",
                detail=f"lacks the permission {permission}",
            )
            raise PermissionDenied(f"Your role lacks the permission {permission}. Ask an administrator for it.")
        duty = duties.duty_of(request.user)
        if duty and name not in duties.PAGES[duty]:
            return _to(request, reverse(duties.PAGES[duty][0]))
        return limits.refuse_burst(request, name)


def _to_login(request: HttpRequest) -> HttpResponse:
    """Send the whole page to the login form, also when only a fragment was asked for."""
    if getattr(request, "htmx", False):
        response = HttpResponse(status=401)
        response["HX-Refresh"] = "true"
        return response
    return redirect_to_login(request.get_full_path())


def _to(request: HttpRequest, url: str) -> HttpResponse:
    """Send the whole page elsewhere; what was asked for is not done."""
    if getattr(request, "htmx", False):
        response = HttpResponse(status=403)
        response["HX-Redirect"] = url
        return response
    return HttpResponseRedirect(url)
