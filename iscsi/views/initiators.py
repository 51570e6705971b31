"""Initiators: who is connected to the targets."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from iscsi.models import Target
from iscsi.status import target_status
from iscsi.tables import SessionTable
from iscsi.views.look import page_context, tabs
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.tables import Empty

LIST = "iscsi:initiators"


@requires("iscsi.view")
@require_safe
def initiator_list(request: HttpRequest) -> HttpResponse:
    """GET /iscsi/initiators/?q=debian&address=10.0.0.9&target=backup&node=primary."""
    table, sections = SessionTable(request), tabs(LIST)
    context = page_context(request, "Initiators") | {"tabs": sections, "table": table}
    if not table.total:
        context["empty"] = _empty(table, next(tab.count for tab in sections if tab.current))
    return render_page(request, "iscsi/initiators.html", context, regions=("page-title", SessionTable.region))


def _empty(table: SessionTable, total: int) -> Empty:
    if total and table.filtered:
        hidden = "1 session is" if total == 1 else f"{total:,} sessions are"
        clear = ("Clear filter", table.clear_url)
        return Empty("No session matches the filter", f"{hidden} hidden by the filter.", "filter-off", clear)
    targets = list(Target.objects.select_related("node"))
    icon, back = "plug-connected", ("Show targets", reverse("iscsi:targets"))
    if not targets:
        return Empty("No initiators", "There is no target yet that anybody could log in to.", icon, back)
    silent = [target.name for target in targets if target.started and not target_status(target).current]
    if silent:
        more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
        return Empty("No data", f"Who is connected to {', '.join(silent[:3])}{more} is not known now.", icon, back)
    text = "On the machine that needs a disk, discover the targets at a portal IP, port 3260, then log in to one."
    return Empty("Nobody is connected", text, icon, back)
