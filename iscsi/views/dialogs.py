"""A dialog about one object: what follows, what is asked for, and the task that it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.views.answers import put_error, refusal_answer, task_started
from iscsi.views.look import page_context
from panel.ui.forms import Fields
from panel.ui.htmx import done, go_to, render_page
from tasks.errors import TaskConflict
from tasks.models import Task

TEMPLATE = "iscsi/dialog.html"
Call = Callable[[dict[str, Any]], Task | None]


@dataclass(frozen=True, slots=True)
class Dialog:
    """What a dialog says. `fact` is bold, `follows` says the rest; `typed` is what must be typed to confirm.

    leaves: the object is about to go, so that its task's page is next. said: what a note says when no task is needed.
    """

    title: str
    icon: str
    button: str
    back: str
    fact: str
    follows: str = ""
    warning: str = ""
    typed: str = ""
    danger: bool = False
    leaves: bool = False
    said: str = ""


class Nothing(Fields):
    """A dialog that asks for nothing."""


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was sent, even if that is nothing."""
    return request.POST if request.method == "POST" else None


def answer(request: HttpRequest, dialog: Dialog, form: Fields, call: Call) -> HttpResponse:
    """GET: the dialog. POST: call the service; 422 with the dialog for what was entered, 409 with a note otherwise."""
    if request.method != "POST":
        return _show(request, dialog, form)
    if form.is_valid():
        try:
            task = call(form.cleaned_data)
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, dialog.back)
        else:
            return _started(request, dialog, task)
    form.mark_errors()
    return _show(request, dialog, form, 422)


def _started(request: HttpRequest, dialog: Dialog, task: Task | None) -> HttpResponse:
    if task is None:
        return done(request, dialog.said, dialog.back)
    if dialog.leaves:
        return go_to(request, reverse("tasks:detail", args=[task.pk]))
    return task_started(request, task)


def _show(request: HttpRequest, dialog: Dialog, form: Fields, status: int = 200) -> HttpResponse:
    context = page_context(request, dialog.title) | {"dialog": dialog, "form": form}
    return render_page(request, TEMPLATE, context, fallback="dialog", status=status)
