"""Power actions of a VE. Each POST calls one service."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from infrastructure.forms import StopForm
from infrastructure.services import power, ves
from infrastructure.services.errors import NotPossible
from infrastructure.views.answers import refusal_answer, run
from infrastructure.views.finding import find_ve
from infrastructure.views.ves import head_context
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from tasks.models import Task


def _act(request: HttpRequest, pk: int, service: Callable[..., Task], **options: Any) -> HttpResponse:
    ve = find_ve(request, pk)
    back = reverse("infrastructure:ve", args=[ve.pk])
    return run(request, lambda: service(user=user_of(request), ve=ve, request=request, **options), back)


@requires("ve.operate")
@require_POST
def ve_start(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, power.start)


@requires("ve.operate")
@require_http_methods(["GET", "HEAD", "POST"])
def ve_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog that asks for consent to force. POST: ask the guest to shut down, force only by `force_after`."""
    if request.method == "POST" and "force_after" not in request.POST:
        return _act(request, pk, power.stop)
    form = StopForm(request.POST) if request.method == "POST" else StopForm()
    if form.is_valid():
        return _act(request, pk, power.stop, force_after=form.cleaned_data["force_after"])
    ve = find_ve(request, pk)
    if form.is_bound:
        form.mark_errors()
    context = {**head_context(request, ve, "summary"), "form": form}
    status = 422 if form.is_bound else 200
    return render_page(request, "infrastructure/ve_stop.html", context, fallback="dialog", status=status)


@requires("ve.operate")
@require_http_methods(["GET", "HEAD", "POST"])
def ve_force_off(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog that names the effect. POST: cut the power."""
    if request.method == "POST":
        return _act(request, pk, power.force_off)
    ve = find_ve(request, pk)
    return render_page(
        request, "infrastructure/ve_force_off.html", head_context(request, ve, "summary"), fallback="dialog"
    )


@requires("ve.operate")
@require_POST
def ve_forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Drop a VE that no node has any more, and show the list it stood in."""
    ve = find_ve(request, pk)
    try:
        ves.forget(user=user_of(request), ve=ve, request=request)
    except NotPossible as refusal:
        return refusal_answer(request, refusal, reverse("infrastructure:ve", args=[pk]))
    messages.success(request, f"{ve} is forgotten.")
    return HttpResponseRedirect(reverse("infrastructure:ves"))


@requires("ve.operate")
@require_POST
def ve_restart(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, power.restart)


@requires("ve.operate")
@require_POST
def ve_pause(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, power.pause)


@requires("ve.operate")
@require_POST
def ve_resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, power.resume)
