"""The console page of a VE, and the ticket it asks for."""

from typing import cast

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from infrastructure.choices import ConsoleKind, VEState
from infrastructure.models import VE, InventoryRevision
from infrastructure.services import console as service
from infrastructure.services.access import authorize
from infrastructure.services.console_sessions import PERMISSION
from infrastructure.views.finding import find_ve
from infrastructure.views.ves import head_context
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page

AT_REST = (VEState.STOPPED, VEState.CRASHED)
# xterm.js puts its colours and sizes into style elements and attributes of its own making; no other page may do so.
TERMINAL_STYLES = {"style-src-elem": ["'self'", "'unsafe-inline'"], "style-src-attr": ["'unsafe-inline'"]}


@requires(PERMISSION)
def console(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /infrastructure/ves/7/console/?kind=screen|text; &window=1 is the same alone, for a window of its own."""
    revision = InventoryRevision.current()  # before the VE is read: what changes meanwhile is asked for again
    ve = find_ve(request, pk, "migrating_to")
    authorize(user=request.user, permission=PERMISSION, action="ve.console.page", obj=ve, request=request)
    if request.method not in ("GET", "HEAD"):  # after the right: a refusal must not depend on the method
        return HttpResponseNotAllowed(["GET", "HEAD"])
    kind = _kind(request.GET.get("kind", ""), ve)
    context = head_context(request, ve, "console") | {
        "at_rest": ve.state in AT_REST,
        "alone": "window" in request.GET,
        "kind": kind.value,
        "text_name": "Serial" if ve.is_vm else "Console",
        "revision": revision,
    }

    def page(request: HttpRequest) -> HttpResponse:
        template = "infrastructure/console_window.html" if context["alone"] else "infrastructure/console.html"
        return render_page(request, template, context, regions=("page-title", "console-ve"))

    return (
        cast("HttpResponse", csp_update(TERMINAL_STYLES)(page)(request)) if kind == ConsoleKind.TEXT else page(request)
    )


def _kind(wanted: str, ve: VE) -> ConsoleKind:
    if not ve.is_vm:
        return ConsoleKind.TEXT
    return ConsoleKind(wanted) if wanted in ConsoleKind.values else service.default_kind(ve)


@requires(PERMISSION)
@require_POST
@never_cache
def console_ticket(request: HttpRequest, pk: int) -> JsonResponse:
    """POST kind=screen|text: {"ticket": …, "ve": 7, "kind": …}, good for one console of this kind within 30 s."""
    ve = find_ve(request, pk)
    kind = _kind(request.POST.get("kind", ""), ve)
    key = request.session.session_key or ""
    ticket = service.issue_ticket(
        user=request.user,  # type: ignore[arg-type]
        session_key=key,
        ve=ve,
        kind=kind,
        request=request,
    )
    return JsonResponse({"ticket": ticket, "ve": ve.pk, "kind": kind})
