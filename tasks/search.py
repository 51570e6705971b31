"""Searching tasks by their number or a part of their title."""

from django.db.models import Case, Q, Value, When
from django.urls import reverse

from panel.accounts.models import User
from panel.accounts.scopes import visible
from panel.search.registry import Found, Hit, Query, Source, register
from panel.ui.format import clock
from tasks.models import Task

DIGITS = 18  # what a database takes as an id


def find_tasks(user: User, query: Query) -> Found:
    """Top-level tasks, the newest first; a number finds the task of that number first."""
    number = query.text.removeprefix("#")
    numbered = int(number) if number.isascii() and number.isdigit() and len(number) <= DIGITS else None
    tasks = visible(user, "task.view", Task.objects.filter(parent=None))
    titled = tasks.filter(title__icontains=query.text)
    if numbered is not None:
        titled = tasks.filter(Q(title__icontains=query.text) | Q(pk=numbered))
    first = Case(When(pk=numbered or 0, then=Value(0)), default=Value(1))
    rows = list(titled.order_by(first, "-pk")[query.skip : query.skip + query.most])
    total = query.skip + len(rows) if len(rows) < query.most else titled.count()
    return Found([_hit(task) for task in rows], total)


def register_sources() -> None:
    """Called when the app starts."""
    register(Source("tasks", "Tasks", "task.view", find_tasks, ("task", "tasks"), order=40))


def _hit(task: Task) -> Hit:
    return Hit(
        name=task.title,
        url=reverse("tasks:detail", args=[task.pk]),
        icon="list-details",
        kind=f"task {task.pk}",
        state=task.get_state_display(),
        glyph=task.glyph,
        where=", ".join(part for part in (task.place, f"{clock(task.created_at)} UTC") if part),
    )
