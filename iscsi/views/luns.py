"""LUNs: the list, detached ones too, and one with its snapshots and tasks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from infrastructure.views.actions import Action
from infrastructure.views.performance import recent_tasks
from iscsi.choices import Stage
from iscsi.models import Lun, Snapshot
from iscsi.status import lun_status
from iscsi.tables import LunTable
from iscsi.views.look import action, busy, page_context, refusal, tabs
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.tables import Empty
from storage.services.datastores import policy_of

LIST = "iscsi:luns"


@requires("iscsi.view")
@require_safe
def lun_list(request: HttpRequest) -> HttpResponse:
    """GET /iscsi/luns/."""
    sections = tabs(LIST)
    rows = Lun.objects.select_related("target", "datastore")
    context = page_context(request, "LUNs") | {
        "tabs": sections,
        "table": LunTable(request, rows, unfiltered=sections[1].count),
        "empty": Empty("No LUNs", "A LUN is a disk in the storage cluster that a target shows. Add one on its page."),
    }
    return render_page(request, "iscsi/luns.html", context, regions=("page-title", LunTable.region))


@requires("iscsi.view")
@require_safe
def lun_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /iscsi/luns/3/."""
    lun = find_lun(pk)
    reason = _reason(request, lun)
    context: dict[str, Any] = page_context(request, str(lun)) | {
        "lun": lun,
        "status": lun_status(lun),
        "policy": policy_of(lun.datastore),
        "snapshots": [_snapshot(each, lun, reason) for each in lun.snapshots.all()],
        "actions": lun_actions(lun, reason),
        "tasks": recent_tasks("lun", lun.pk),
    }
    return render_page(request, "iscsi/lun.html", context, regions=("page-title", "tab-panel"))


@requires("iscsi.view")
@require_safe
def lun_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """The items of a row's menu, fetched when it is opened."""
    lun = find_lun(pk)
    context = {"actions": lun_actions(lun, _reason(request, lun)), "name": str(lun)}
    return render(request, "components/_menu_items.html", context)


def find_lun(pk: int) -> Lun:
    """The LUN with what its pages and tasks show of it; Http404 without it."""
    return get_object_or_404(Lun.objects.select_related("target__node", "datastore__cluster"), pk=pk)


def lun_actions(lun: Lun, reason: str) -> list[Action]:
    """What can be done with it now; what does not fit stays, with its reason."""
    ready, pk = reason or _unready(lun), lun.pk
    if lun.target is not None:
        place = action("detach", "Detach…", "plug-connected-x", "lun_detach", pk, ready)
    else:
        place = action("attach", "Attach…", "plug-connected", "lun_attach", pk, ready)
    return [
        action("grow", "Grow…", "arrows-maximize", "lun_grow", pk, ready),
        action("snapshot", "Take snapshot…", "camera", "lun_snapshot", pk, ready),
        place,
        action("delete", "Delete…", "trash", "lun_delete", pk, reason),
    ]


def _snapshot(snapshot: Snapshot, lun: Lun, reason: str) -> dict[str, Any]:
    """A LUN whose rolling back broke can be rolled back again, which finishes it, and nothing else."""
    again = lun.stage == Stage.BROKEN
    roll = reason or ("" if again else _unready(lun))
    return {
        "snapshot": snapshot,
        "roll_back": action("roll_back", "Roll back…", "history", "snapshot_roll_back", snapshot.pk, roll),
        "delete": action("delete", "Delete…", "trash", "snapshot_delete", snapshot.pk, reason or _unready(lun)),
    }


def _reason(request: HttpRequest, lun: Lun) -> str:
    """Why nothing can be done with it now; "" when something can."""
    return refusal(request) or busy([f"lun:{lun.pk}", *([f"target:{lun.target_id}"] if lun.target_id else [])])


def _unready(lun: Lun) -> str:
    return "" if lun.stage == Stage.READY else f"It is {lun.get_stage_display().lower()}"
