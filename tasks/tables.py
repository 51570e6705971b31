"""The Task Log as a list."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.http import HttpRequest
from django.utils.functional import cached_property

from panel.ui.chips import filter_chip
from panel.ui.format import count
from panel.ui.tables import Chip, Column, Empty, Table
from panel.ui.zones import day_bounds, today, zone_of
from tasks.choices import OPEN_STATES
from tasks.filters import UNSUCCESSFUL
from tasks.models import Task
from tasks.page import rights_of

KNOWN_HEADER = "Mooring-Known"


def listed() -> QuerySet[Task]:
    """Top-level tasks with the number of those below them; open ones are told apart by `ended`."""
    below = Task.objects.filter(parent=OuterRef("pk")).order_by().values("parent").annotate(n=Count("pk"))
    return (
        Task.objects.filter(parent=None)
        .defer("params", "figures", "traceback")
        .annotate(
            ended=Case(When(state__in=OPEN_STATES, then=Value(0)), default=Value(1), output_field=IntegerField()),
            below=Subquery(below.values("n")),
        )
    )


class TaskTable(Table):
    """Open tasks stay on top, whatever the list is sorted by."""

    columns = (
        Column("status", "Status", ("state",), filter="status"),
        Column("operation", "Operation", ("title",), filter="text"),
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

    def decorate(self, rows: list[Task]) -> list[Task]:
        for row in rows:
            row.__dict__["rights"] = rights_of(self.request.user, row)
        return rows


def _known(request: HttpRequest) -> int:
    newest = request.headers.get(KNOWN_HEADER, "")
    return int(newest) if newest.isdecimal() and len(newest) < 19 else 0


def chips(request: HttpRequest) -> list[Chip]:
    """Common filters with their counts: one query."""
    zone = zone_of(request)
    day = today(zone)
    name = request.user.get_username()
    counts = Task.objects.filter(parent=None).aggregate(
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
