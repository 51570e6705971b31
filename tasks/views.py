"""The pages of tasks: the Task Log, one task with its log, its downloads, and the requests to cancel and retry."""

from collections.abc import Callable
from functools import partial

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from panel.accounts.permissions import requires
from panel.accounts.scopes import visible
from panel.ui.downloads import download
from panel.ui.htmx import accepted, refused, render_page
from tasks import export, services
from tasks.errors import NotPossible, TaskConflict
from tasks.filters import TaskFilter
from tasks.logbook import SHOWN_LINES, excerpt
from tasks.models import Task
from tasks.page import children_of, earlier_on_same_object, keep_bindings, regions, rights_of
from tasks.scopes import reader_of
from tasks.tables import TaskTable, chips, empty_of, listed

MOST_LINES = 20 * SHOWN_LINES  # more than this no browser shows with pleasure; the download has them all


@require_GET
@requires("task.view")
def task_list(request: HttpRequest) -> HttpResponse:
    """The Task Log; to htmx the table alone."""
    keep_bindings(request.user)
    search = TaskFilter(request.GET, listed(request.user), request=request)
    shortcuts = chips(request)
    table = TaskTable(request, search.qs, search.form, total=shortcuts[0].count or 0)
    context = {"table": table, "chips": shortcuts, "empty": empty_of(table)}
    return render_page(request, "tasks/list.html", context, fallback="task-table")


@require_GET
@requires("task.view")
def detail(request: HttpRequest, task_id: int) -> HttpResponse:
    """A task with its log; `?lines=` asks for more of the earlier messages."""
    keep_bindings(request.user)
    task = _visible(request, task_id)
    wanted = request.GET.get("lines", "")
    lines = min(MOST_LINES, max(SHOWN_LINES, int(wanted))) if wanted.isdecimal() else SHOWN_LINES
    log, reader = excerpt(task, lines), reader_of(request.user)
    context = {
        **regions(rights_of(request.user, task), task),
        "entries": log.entries,
        "hidden_lines": log.hidden,
        "more_lines": min(MOST_LINES, 4 * lines),
        "before": earlier_on_same_object(reader, task),
        "children": children_of(reader, task),
    }
    return render(request, "tasks/detail.html", context)


@require_GET
@requires("task.view")
def log_text(request: HttpRequest, task_id: int) -> HttpResponseBase:
    """The whole log as text."""
    task = _visible(request, task_id)
    return download(request, export.as_text(task), f"task-{task.pk}.txt", "text/plain; charset=utf-8")


@require_GET
@requires("task.view")
def log_json(request: HttpRequest, task_id: int) -> HttpResponseBase:
    """The whole log as JSON."""
    task = _visible(request, task_id)
    return download(request, export.as_json(task), f"task-{task.pk}.json", "application/json")


@require_POST
@requires("task.cancel")
def cancel_task(request: HttpRequest, task_id: int) -> HttpResponse:
    """Ask a task to stop; `only=waiting`: of a bulk action what no worker has begun."""
    return _steer(request, task_id, partial(services.cancel, only_waiting=request.POST.get("only") == "waiting"))


@require_POST
@requires("task.view")
def retry_task(request: HttpRequest, task_id: int) -> HttpResponse:
    """Start another attempt; the service asks for the right that the task's own kind needs."""
    return _steer(request, task_id, services.retry)


def _visible(request: HttpRequest, task_id: int) -> Task:
    """The task, with what its pages show; 404 when there is none for this user."""
    shown = visible(request.user, "task.view", Task.objects.all())
    task = shown.select_related("parent").prefetch_related("targets").filter(pk=task_id).first()
    if task is None:
        raise Http404(f"There is no task {task_id}.")
    return task


def _steer(request: HttpRequest, task_id: int, service: Callable[..., Task]) -> HttpResponse:
    """Call the service; a refusal is answered 409 with its words and, in a conflict, a link to the other task."""
    task = _visible(request, task_id)
    page = reverse("tasks:detail", args=[task.pk])
    try:
        service(task, request=request)
    except NotPossible as refusal:
        return refused(request, str(refusal), "", page)
    except TaskConflict as conflict:
        link = (reverse("tasks:detail", args=[conflict.task.pk]), "Show its log")
        return refused(request, str(conflict), "Wait for its end, then retry.", page, link=link)
    return accepted(request, "mooring:task-changed", {"id": task.pk}, page)
