"""The audit trail, to read and to search."""

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from panel.accounts.permissions import requires
from panel.audit.filters import AuditFilter
from panel.audit.models import AuditRecord, Result
from panel.ui.chips import filter_chip
from panel.ui.format import count
from panel.ui.htmx import render_page
from panel.ui.tables import Chip, Column, Empty, Table


class AuditTable(Table):
    """Newest first; nothing on the page changes a row."""

    columns = (
        Column("at", "Time", ("at",), descending=True),
        Column("actor", "Actor", ("actor_name",), filter="actor"),
        Column("source", "From", ("source",), minor=True),
        Column("action", "Action", ("action",), filter="action"),
        Column("target", "Object", ("target_name",), filter="target"),
        Column("result", "Result", ("result",), filter="result"),
        Column("detail", "Detail", filter="text"),
    )
    row_template = "panel/_audit_row.html"
    bar_template = "components/_dates.html"
    noun = ("record", "records")
    region = "audit-table"
    label = "Audit records"
    default_sort = "-at"
    tie_break = ("-pk",)


@require_GET
@requires("audit.view")
def audit_list(request: HttpRequest) -> HttpResponse:
    """The audit trail; to htmx the table alone."""
    search = AuditFilter(request.GET, AuditRecord.objects.all(), request=request)
    table = AuditTable(request, search.qs, search.form)
    shortcuts = _chips(request)
    if table.filtered:
        total = shortcuts[0].count or 0
        text = f"{count(total, 'record')} {'is' if total == 1 else 'are'} hidden by it."
        empty = Empty("No record matches the filter", text, "filter-off", ("Clear filter", table.clear_url))
    else:
        empty = Empty("No records yet", "Every change and every refused attempt is recorded here.", "clipboard-list")
    context = {"table": table, "chips": shortcuts, "empty": empty}
    return render_page(request, "panel/audit.html", context, fallback="audit-table")


def _chips(request: HttpRequest) -> list[Chip]:
    counts = AuditRecord.objects.aggregate(
        all=Count("pk"), **{result: Count("pk", filter=Q(result=result)) for result in (Result.REFUSED, Result.FAILED)}
    )
    return [
        filter_chip(request, "All", counts["all"], {}),
        filter_chip(request, "Refused", counts[Result.REFUSED], {"result": str(Result.REFUSED)}, "cancelled"),
        filter_chip(request, "Failed", counts[Result.FAILED], {"result": str(Result.FAILED)}, "crit"),
    ]
