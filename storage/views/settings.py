"""GET /storage/settings/: recovery priority and fill marks, as observed; each change is a task."""

from collections.abc import Callable
from dataclasses import dataclass

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.views.actions import NO_ROLE
from infrastructure.views.answers import put_error, refusal_answer, task_started
from panel.accounts.permissions import can, requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from storage.forms import MarksForm, PriorityForm
from storage.models import Cluster
from storage.services import settings
from storage.services.settings import Marks
from storage.views.look import Look, look_at_cluster, page_context
from tasks.errors import TaskConflict
from tasks.models import Task

PAGE = "storage:settings"
REGIONS = ("page-title", "storage-recovery", "storage-marks")


@dataclass(frozen=True, slots=True)
class Choice:
    """A recovery priority with what it means."""

    value: str
    label: str
    words: str
    chosen: bool


@requires("storage.view")
@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    """Both settings. Before the first look there is nothing to show."""
    return _page(request, look_at_cluster(request))


@requires("storage.manage")
@require_POST
def change_recovery(request: HttpRequest) -> HttpResponse:
    """Start giving recovery another priority; 422 with the form when none was chosen."""
    form = PriorityForm(request.POST)
    return _change(
        request,
        form,
        lambda cluster: settings.change_recovery(
            user=user_of(request), cluster=cluster, priority=form.cleaned_data["priority"], request=request
        ),
        priority=form,
    )


@requires("storage.manage")
@require_POST
def change_marks(request: HttpRequest) -> HttpResponse:
    """Start moving the fill marks; 422 with the form when they cannot be accepted."""
    form = MarksForm(request.POST)
    return _change(
        request,
        form,
        lambda cluster: settings.change_marks(
            user=user_of(request), cluster=cluster, marks=Marks(**form.cleaned_data), request=request
        ),
        marks=form,
    )


def _change(
    request: HttpRequest,
    form: forms.Form,
    start: Callable[[Cluster], Task],
    *,
    priority: PriorityForm | None = None,
    marks: MarksForm | None = None,
) -> HttpResponse:
    look = look_at_cluster(request)
    if look is None:
        return redirect(PAGE)
    if form.is_valid():
        try:
            return task_started(request, start(look.cluster))
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse(PAGE))
    return _page(request, look, priority=priority, marks=marks, status=422)


def _page(
    request: HttpRequest,
    look: Look | None,
    *,
    priority: PriorityForm | None = None,
    marks: MarksForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = page_context(request, "Storage settings", look)
    if look is not None and look.facts is not None:
        is_set = settings.priority_of(look.facts.recovery)
        entered = priority["priority"].value() if priority else is_set
        shown = settings.marks_of(look.facts.ratios)
        known = {"near_full": shown.near_full, "backfill_full": shown.backfill_full, "full": shown.full}
        context |= {
            "priority": priority,
            "is_set": is_set,
            "choices": [Choice(key, *words, key == entered) for key, words in settings.WORDS.items()],
            "options": sorted((look.facts.recovery or {}).items()),
            "marks": marks or MarksForm(initial=known),
            "refused": _refused(request, look),
        }
        if marks is not None:
            marks.mark_errors()
    # Each form is a region of its own, so that one that was refused is shown again without losing the other.
    return render_page(request, "storage/settings.html", context, regions=REGIONS, status=status)


def _refused(request: HttpRequest, look: Look) -> str:
    """Why this user cannot change anything now; "" when that can be."""
    if not can(user_of(request), settings.PERMISSION):
        return NO_ROLE
    return "" if look.current else f"{look.cluster.name} does not answer"
