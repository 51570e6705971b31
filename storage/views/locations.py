"""Hosts that stand elsewhere than Ceph's map has them: the note of Nodes and disks, and the dialog that moves them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.services.preflight import Check
from infrastructure.views.actions import NO_ROLE, Action
from infrastructure.views.answers import refusal_answer, task_started
from infrastructure.views.migrate_words import GLYPHS
from panel.accounts.permissions import can, requires
from panel.accounts.scopes import visible
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from storage.services import disks, locations
from storage.services.locations import Difference
from storage.views.disk_actions import ShownChecks
from storage.views.look import Look, look_at_cluster, page_context
from tasks.errors import TaskConflict

PAGE = "storage:disks"
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """A host in the dialog."""

    difference: Difference
    chosen: bool


def location_note(request: HttpRequest, look: Look) -> dict[str, Any]:
    """Context of storage/_locations.html: what stands elsewhere than Ceph has it, as far as this user sees nodes."""
    found = _found(request, look)
    refused = "" if can(user_of(request), locations.PERMISSION) else NO_ROLE
    where = reverse("storage:locations")
    return {
        "elsewhere": found[:MOST_NAMED],
        "elsewhere_more": max(0, len(found) - MOST_NAMED),
        "locate": Action("locate", "Move in the cluster map…", "building", where, "dialog", refused),
    }


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def host_locations(request: HttpRequest) -> HttpResponse:
    """GET: the dialog with the hosts and its checks. POST: start the move; 422 with the dialog when none is chosen."""
    look = look_at_cluster(request)
    if look is None:
        return redirect(PAGE)
    if request.method != "POST":
        return _dialog(request, look, None)
    hosts = request.POST.getlist("hosts")
    try:
        task = locations.locate(user=user_of(request), cluster=look.cluster, hosts=hosts, request=request)
    except InvalidInput as error:
        return _dialog(request, look, hosts, str(error), 422)
    except (TaskConflict, ServiceError) as refusal:
        return refusal_answer(request, refusal, reverse(PAGE))
    return task_started(request, task)


def _found(request: HttpRequest, look: Look) -> list[Difference]:
    found = locations.differences(look.cluster, look.facts) if look.facts else []
    if not found:
        return []
    known = Node.objects.filter(pk__in=[each.node.pk for each in found])
    seen = set(visible(request.user, "infrastructure.view", known).values_list("pk", flat=True))
    return [each for each in found if each.node.pk in seen]


def _dialog(
    request: HttpRequest, look: Look, hosts: Collection[str] | None, error: str = "", status: int = 200
) -> HttpResponse:
    """`hosts`: those that are chosen; None: all that can be moved."""
    found = _found(request, look)
    choices = [Choice(each, not each.problem if hosts is None else each.host in hosts) for each in found]
    context = page_context(request, "Move hosts in the cluster map", look) | {
        "choices": choices,
        "checks": _checks(look, [each.difference for each in choices if each.chosen]),
        "error": error,
        "used": sum(each.difference.used for each in choices if each.chosen),
    }
    return render_page(request, "storage/locate.html", context, fallback="dialog", status=status)


def _checks(look: Look, chosen: Sequence[Difference]) -> ShownChecks:
    """The checks by the last look, for what is chosen when the dialog opens; the task makes them again."""
    if look.facts is None or not look.current:
        why = f"{look.cluster.name} does not answer, so nothing can be checked"
        found = [Check("answers", "Figures", "unknown", why)]
    elif not chosen:
        found = [Check("place", "Place", "failed", "No host can be moved")]
    else:
        found = locations.checks(look.facts, {each.host: each.wanted for each in chosen})
    passed = sum(check.state in ("passed", "warning") for check in found)
    # What fewer hosts could mend does not disable the button: the service judges what is chosen then.
    final = [check for check in found if len(chosen) < 2 or check.key not in ("place", "redundancy")]
    return ShownChecks([(check, GLYPHS[check.state]) for check in found], passed, disks.blocking(final))
