"""From a service's result or refusal to an answer."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from infrastructure.services.errors import ServiceError
from panel.ui.htmx import accepted, refused
from tasks.errors import TaskConflict
from tasks.models import Task


def task_started(request: HttpRequest, task: Task) -> HttpResponse:
    """A task has been started, or was running already: the page's scripts are told, or the task's page is shown."""
    url = reverse("tasks:detail", args=[task.pk])
    return accepted(request, "mooring:task-started", {"id": task.pk, "title": task.title, "url": url}, url)


def run(request: HttpRequest, call: Callable[[], Task], back: str) -> HttpResponse:
    """Call one service that starts a task and answer with the task or with why it was refused (409)."""
    try:
        return task_started(request, call())
    except (TaskConflict, ServiceError) as refusal:
        return refusal_answer(request, refusal, back)


def refusal_answer(request: HttpRequest, refusal: TaskConflict | ServiceError, back: str) -> HttpResponse:
    """409 with cause and next step; a conflict links to the task that stands in the way."""
    if isinstance(refusal, TaskConflict):
        link = (reverse("tasks:detail", args=[refusal.task.pk]), f"Show task {refusal.task.pk}")
        return refused(request, f"{str(refusal).rstrip('.')}.", "Try again when it has ended.", back, link=link)
    return refused(request, f"{refusal.message.rstrip('.')}.", refusal.advice, back)


def put_error(form: forms.Form, error: ServiceError) -> None:
    """Show a service's refusal under the field at fault, or above all fields."""
    field: Any = error.field if error.field in form.fields else None
    form.add_error(field, str(error))
