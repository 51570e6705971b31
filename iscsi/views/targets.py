"""Targets: the list, and one with its LUNs, initiators and tasks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from infrastructure.views.actions import Action
from infrastructure.views.answers import run
from infrastructure.views.performance import recent_tasks
from iscsi.choices import Stage
from iscsi.models import Target
from iscsi.services import targets
from iscsi.status import initiators_of, limit_words, target_status
from iscsi.tables import TargetTable, listed
from iscsi.views.look import action, busy, page_context, refusal, tabs
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Empty
from storage.services.datastores import policy_of

LIST = "iscsi:targets"


@requires("iscsi.view")
@require_safe
def target_list(request: HttpRequest) -> HttpResponse:
    """GET /iscsi/."""
    sections = tabs(LIST)
    refused = refusal(request)
    add = action("add", "Add target", "plus", "target_add", reason=refused, how="link")
    text = "A target shows disks of the storage cluster to machines outside, over iSCSI. A node needs the role first."
    context = page_context(request, "iSCSI") | {
        "tabs": sections,
        "add": add,
        "table": TargetTable(request, listed(), unfiltered=sections[0].count),
        "empty": Empty("No targets", text, "target", ("", "") if refused else ("Add target", add.url)),
    }
    return render_page(request, "iscsi/targets.html", context, regions=("page-title", TargetTable.region))


@requires("iscsi.view")
@require_safe
def target_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /iscsi/targets/3/."""
    target = find_target(pk)
    luns = target.luns.select_related("datastore").order_by("number")
    rows = []
    for lun in luns:
        lun.target = target  # its words ask for the target
        rows.append({"lun": lun, "policy": policy_of(lun.datastore)})
    context: dict[str, Any] = page_context(request, target.name) | {
        "target": target,
        "status": target_status(target),
        "luns": rows,
        "portals": target.portals.all(),
        "sessions": initiators_of(target),
        "limits": limit_words(target),
        "actions": target_actions(request, target),
        "tasks": recent_tasks("target", target.pk),
    }
    return render_page(request, "iscsi/target.html", context, regions=("page-title", "tab-panel"))


@requires("iscsi.view")
@require_safe
def target_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """The items of a row's menu, fetched when it is opened."""
    target = find_target(pk)
    context = {"actions": target_actions(request, target), "name": target.name}
    return render(request, "components/_menu_items.html", context)


def find_target(pk: int) -> Target:
    """The target with what its pages and tasks show of it; Http404 without it."""
    rows = Target.objects.select_related("node", "chap_user", "mutual_user").prefetch_related("portals")
    return get_object_or_404(rows, pk=pk)


def target_actions(request: HttpRequest, target: Target) -> list[Action]:
    """What this user may do with the target now; what does not fit stays, with its reason."""
    reason = refusal(request) or busy([f"target:{target.pk}"])
    ready = reason or ("" if target.stage == Stage.READY else f"{target} is {target.get_stage_display().lower()}")
    pk = target.pk
    if target.started:
        switch = action("stop", "Stop…", "player-stop", "target_stop", pk, ready)
    else:
        switch = action("start", "Start", "player-play", "target_start", pk, ready, "post")
    return [
        action("add_lun", "Add LUN", "plus", "lun_add", pk, ready, "link"),
        action("edit", "Edit", "pencil", "target_edit", pk, ready, "link"),
        switch,
        action("move", "Move…", "arrows-exchange", "target_move", pk, ready),
        action("delete", "Delete…", "trash", "target_delete", pk, reason),
    ]


@requires("iscsi.manage")
@require_POST
def target_start(request: HttpRequest, pk: int) -> HttpResponse:
    """POST: start its server."""
    target = find_target(pk)
    back = reverse("iscsi:target", args=[pk])
    return run(request, lambda: targets.start(user=user_of(request), target=target, request=request), back)
