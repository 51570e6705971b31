"""The console page of a VM, and the ticket it asks for."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from infrastructure.choices import VEState
from infrastructure.models import VE, InventoryRevision
from infrastructure.services import console as service
from infrastructure.services.access import authorize
from infrastructure.views.ves import head_context
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page

AT_REST = (VEState.STOPPED, VEState.CRASHED)


@requires(service.PERMISSION)
def console(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /infrastructure/ves/7/console/; ?window=1 is the same without the frame, for a window of its own."""
    revision = InventoryRevision.current()  # before the VE is read: what changes meanwhile is asked for again
    ve = get_object_or_404(VE.objects.select_related("node", "migrating_to"), pk=pk)
    authorize(user=request.user, permission=service.PERMISSION, action="ve.console.page", obj=ve, request=request)
    if request.method not in ("GET", "HEAD"):  # after the right: a refusal must not depend on the method
        return HttpResponseNotAllowed(["GET", "HEAD"])
    alone = "window" in request.GET
    context = head_context(request, ve, "console") | {
        "at_rest": ve.state in AT_REST,
        "alone": alone,
        "revision": revision,
    }
    template = "infrastructure/console_window.html" if alone else "infrastructure/console.html"
    return render_page(request, template, context, regions=("page-title", "console-ve"))


@requires(service.PERMISSION)
@require_POST
@never_cache
def console_ticket(request: HttpRequest, pk: int) -> JsonResponse:
    """POST: {"ticket": …, "ve": 7}, good for one console within 30 s."""
    ve = get_object_or_404(VE, pk=pk)
    key = request.session.session_key or ""
    ticket = service.issue_ticket(user=request.user, session_key=key, ve=ve, request=request)  # type: ignore[arg-type]
    return JsonResponse({"ticket": ticket, "ve": ve.pk})
