"""The Task Log as a list."""

from collections import defaultdict
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import HttpRequest
from django.utils.functional import cached_property

from panel.accounts.scopes import visible
from panel.ui.chips import filter_chip
from panel.ui.format import count
from panel.ui.tables import Chip, Column, Empty, Table
from panel.ui.zones import day_bounds, today, zone_of
from tasks.choices import OPEN_STATES, State
from tasks.closing import failed_of, last_of
from tasks.filters import UNSUCCESSFUL
from tasks.lanes import queues_of
from tasks.models import Task
from tasks.page import Rights, retry_permission
from tasks.rights import Visitor, steerable
from tasks.scopes import reader_of
from tasks.services.retrying import RETRYABLE

KNOWN_HEADER = "Mooring-Known"
MOST_OPENED = 5
MOST_BELOW = 50  # of the tasks of an action in the list; its own page has them all


def listed(user: Visitor) -> QuerySet[Task]:
    """Top-level tasks that the user sees, with the number of those below them; open ones are told apart by `ended`."""
    shown = visible(user, "task.view", Task.objects.all())
    below = shown.filter(parent=OuterRef("pk")).order_by().values("parent").annotate(n=Count("pk"))
    return (
        visible(user, "task.view", Task.objects.filter(parent=None))
        .defer("params", "figures", "traceback", "phases", "facts")
        .annotate(
            ended=Case(When(state__in=OPEN_STATES, then=Value(0)), default=Value(1), output_field=IntegerField()),
            below=Subquery(below.values("n")),
        )
    )


class TaskTable(Table):
    """Open tasks stay on top, whatever the list is sorted by."""

    columns = (
        Column("status", "Status", ("state",), filter="status", fixed=True),
        Column("operation", "Operation", ("title",), filter="text", fixed=True),
        Column("object", "Object", ("object_name",), minor=True),
        Column("node", "Node", ("place",), filter="node", minor=True),
        Column("initiator", "Initiator", ("initiator_name",), filter="initiator", minor=True),
        Column("started", "Started", ("created_at",), descending=True),
        Column("duration", "Duration", numeric=True),
        Column("result", "Progress or result"),
    )
    row_template = "tasks/_row.html"
    bar_template = "tasks/_bar.html"
    noun = ("task", "tasks")
    region = "task-table"
    label = "Tasks"
    default_sort = "-started"
    tie_break = ("-pk",)

    def __init__(self, request: HttpRequest, rows: QuerySet[Task], form: Any, total: int) -> None:
        """`total`: the number of tasks without the filter, which is known already.

        A browser that is scrolled down names the newest task it shows: later ones are only counted (`fresh`), so that
        no row moves under the pointer.
        """
        self.known = _known(request)
        self.fresh = rows.filter(pk__gt=self.known).count() if self.known else 0
        super().__init__(request, rows.filter(pk__lte=self.known) if self.fresh else rows, form)
        self.unfiltered_total = total - self.fresh

    @cached_property
    def page(self) -> Page[Any]:
        if self.filtered:
            return super().page
        paginator = Paginator(self.queryset.order_by(*self._order()), self.size)
        paginator.count = self.unfiltered_total
        return paginator.get_page(self.request.GET.get("page"))

    def _order(self) -> list[Any]:
        return ["ended", *super()._order()]

    @cached_property
    def opened(self) -> list[int]:
        """The tasks whose children are shown below them, as the address names them."""
        names = self.request.GET.get("open", "").split(",")
        return [int(name) for name in names if name.isdecimal() and len(name) < 19][:MOST_OPENED]

    def decorate(self, rows: list[Task]) -> list[Task]:
        below = self._below(rows)
        shown = [child for pk in self.opened for child in below.get(pk, ())]
        queues = queues_of([*rows, *shown], reader_of(self.request.user))
        cancel = steerable(self.request.user, "task.cancel", [row for row in rows if row.is_open])
        retry = _retryable(self.request.user, rows, below)
        for row in rows:
            children = below.get(row.pk, []) if row.pk in self.opened else []
            row.__dict__["rights"] = Rights(row.pk in cancel, row.pk in retry)
            row.__dict__["opened"] = children[:MOST_BELOW]
            row.__dict__["hidden_below"] = max(0, len(children) - MOST_BELOW)
            row.__dict__["toggle_url"] = self._toggled(row.pk)
        for task in (*rows, *shown):
            task.__dict__["in_line"] = queues.get(task.pk)
        return rows

    def _below(self, rows: list[Task]) -> dict[int, list[Task]]:
        """The children that are shown, or that decide whether a retry is offered; at most one query."""
        wanted = [row.pk for row in rows if row.pk in self.opened or row.state == State.WARNING]
        found: dict[int, list[Task]] = defaultdict(list)
        shown = visible(self.request.user, "task.view", Task.objects.all())
        children = shown.filter(parent__in=wanted).defer("params", "figures", "traceback", "phases", "facts")
        for child in children.order_by("pk") if wanted else ():
            found[child.parent_id or 0].append(child)
        return {pk: last_of(tasks) for pk, tasks in found.items()}

    def _toggled(self, pk: int) -> str:
        opened = [each for each in self.opened if each != pk]
        if pk not in self.opened:
            opened.append(pk)
        return self.address(open=",".join(map(str, opened[-MOST_OPENED:])))


def _retryable(user: Any, rows: list[Task], below: dict[int, list[Task]]) -> set[int]:
    """The ended tasks that the user may try again; one query for each permission that takes."""
    by_permission: dict[str, list[Task]] = defaultdict(list)
    for row in rows:
        failed = row.state in RETRYABLE or (row.state == State.WARNING and failed_of(below.get(row.pk, ())))
        if failed and (permission := retry_permission(row)):
            by_permission[permission].append(row)
    return {pk for permission, tasks in by_permission.items() for pk in steerable(user, permission, tasks)}


def _known(request: HttpRequest) -> int:
    newest = request.headers.get(KNOWN_HEADER, "")
    return int(newest) if newest.isdecimal() and len(newest) < 19 else 0


def chips(request: HttpRequest) -> list[Chip]:
    """Common filters with their counts: one query."""
    zone = zone_of(request)
    day = today(zone)
    name = request.user.get_username()
    counts = visible(request.user, "task.view", Task.objects.filter(parent=None)).aggregate(
        all=Count("pk"),
        open=Count("pk", filter=Q(state__in=OPEN_STATES)),
        failed=Count("pk", filter=Q(state__in=UNSUCCESSFUL, created_at__gte=day_bounds(day, zone)[0])),
        mine=Count("pk", filter=Q(initiator_name=name)),
    )
    failed = {"status": "unsuccessful", "since": day.isoformat()}
    return [
        filter_chip(request, "All", counts["all"], {}),
        filter_chip(request, "Running", counts["open"], {"status": "open"}, "progress"),
        filter_chip(request, "Failed today", counts["failed"], failed, "crit"),
        filter_chip(request, "Mine", counts["mine"], {"initiator": name}),
    ]


def empty_of(table: TaskTable) -> Empty:
    """Why the list is empty, and what ends it."""
    if table.filtered:
        total = table.unfiltered_total
        hidden = f"{count(total, 'task')} {'is' if total == 1 else 'are'}"
        action = ("Clear filter", table.clear_url)
        return Empty("No task matches the filter", f"{hidden} hidden by it.", "filter-off", action)
    return Empty("No tasks yet", "What is done to nodes and VEs is listed here, with its log.", "list-details")
