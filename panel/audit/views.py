"""The audit trail, to read, to search, to take away."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.functional import cached_property
from django.views.decorators.http import require_GET

from panel.accounts.permissions import requires
from panel.audit.export import FORMATS
from panel.audit.filters import AuditFilter
from panel.audit.models import AuditRecord, Result
from panel.audit.services import record
from panel.audit.visibility import records_for
from panel.ui.chips import filter_chip
from panel.ui.downloads import download
from panel.ui.format import count
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Chip, Column, Empty, Table
from panel.ui.zones import zone_of


class AuditTable(Table):
    """Newest first; nothing on the page changes a row, and no new row moves those that are being read."""

    columns = (
        Column("at", "Time", ("at",), descending=True, fixed=True),
        Column("actor", "Actor", ("actor_name",), filter="actor"),
        Column("source", "From", ("source",), filter="source", minor=True),
        Column("action", "Action", ("action",), filter="action", fixed=True),
        Column("target", "Object", ("target_name",), filter="target"),
        Column("result", "Result", ("result",), filter="result"),
        Column("detail", "Detail", filter="text"),
    )
    row_template = "panel/_audit_row.html"
    bar_template = "panel/_audit_bar.html"
    noun = ("record", "records")
    region = "audit-table"
    label = "Audit records"
    default_sort = "-at"
    tie_break = ("-pk",)
    still = True  # new entries are announced, see `news`

    @property
    def zone(self) -> str:
        """The zone in which the days of the filter begin and end."""
        return str(zone_of(self.request))

    @property
    def export_query(self) -> str:
        """Filters and order, as the address of the export wants them."""
        return self.address(page=None, rows=None, columns=None).partition("?")[2]

    @cached_property
    def newest(self) -> int:
        """The newest entry that the list has, on whichever page."""
        return self.queryset.order_by("-pk").values_list("pk", flat=True).first() or 0

    @property
    def news_query(self) -> str:
        return "&".join(filter(None, [self.filter_query, urlencode({"after": self.newest})]))

    def ids(self) -> list[int]:
        """All entries of the list, in its order."""
        return list(self.queryset.order_by(*self._order()).values_list("pk", flat=True))


@require_GET
@requires("audit.view")
def audit_list(request: HttpRequest) -> HttpResponse:
    """The audit trail; to htmx the table alone."""
    rows = records_for(user_of(request))
    table = _table(request, rows)
    shortcuts = _chips(request, rows)
    if table.filtered:
        total = shortcuts[0].count or 0
        text = f"{count(total, 'record')} {'is' if total == 1 else 'are'} hidden by it."
        empty = Empty("No record matches the filter", text, "filter-off", ("Clear filter", table.clear_url))
    else:
        empty = Empty("No records yet", "Every change and every refused attempt is recorded here.", "clipboard-list")
    context = {"table": table, "chips": shortcuts, "empty": empty}
    return render_page(request, "panel/audit.html", context, fallback="audit-table")


@require_GET
@requires("audit.view")
def news(request: HttpRequest) -> HttpResponse:
    """How many entries of the filtered list came after the one named by `after`: a button that shows them."""
    after = request.GET.get("after", "")
    rows = AuditFilter(request.GET, records_for(user_of(request)), request=request).qs
    new = rows.filter(pk__gt=int(after)).count() if after.isdecimal() and len(after) < 19 else 0
    query = request.GET.copy()
    query.pop("after", None)
    return render(request, "panel/_audit_news.html", {"new": new, "query": query.urlencode()})


@require_GET
@requires("audit.view")
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry, whole."""
    row = get_object_or_404(records_for(user_of(request)), pk=pk)
    return render(request, "panel/audit_entry.html", {"row": row})


@require_GET
@requires("audit.view")
def export(request: HttpRequest, format: str) -> HttpResponseBase:
    """Exactly what is filtered, all pages, in the order of the list; the export itself is recorded."""
    table = _table(request, records_for(user_of(request)))
    ids = table.ids()
    written, content_type = FORMATS[format]
    filters = f"filtered by {table.filter_query}" if table.filter_query else "all that may be seen"
    record(action="audit.export", request=request, detail=f"{count(len(ids), 'record')} as {format}, {filters}")
    return download(request, written(ids), f"mooring-audit.{format}", content_type)


def _table(request: HttpRequest, rows: QuerySet[AuditRecord]) -> AuditTable:
    search: Any = AuditFilter(request.GET, rows, request=request)
    return AuditTable(request, search.qs, search.form)


def _chips(request: HttpRequest, rows: QuerySet[AuditRecord]) -> list[Chip]:
    counts = rows.aggregate(
        all=Count("pk"), **{result: Count("pk", filter=Q(result=result)) for result in (Result.REFUSED, Result.FAILED)}
    )
    return [
        filter_chip(request, "All", counts["all"], {}),
        filter_chip(request, "Refused", counts[Result.REFUSED], {"result": str(Result.REFUSED)}, "cancelled"),
        filter_chip(request, "Failed", counts[Result.FAILED], {"result": str(Result.FAILED)}, "crit"),
    ]
