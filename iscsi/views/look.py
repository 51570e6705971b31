"""What every page of iSCSI begins with: its tabs, what may be done, and how it is kept current."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from infrastructure.views.actions import NO_ROLE, Action, How
from iscsi.models import ChapUser, IscsiNode, IscsiRevision, Lun
from iscsi.sessions import count_targets_and_sessions
from panel.accounts.permissions import can
from panel.ui.signed_in import user_of
from tasks.models import TaskLock

MANAGE = "iscsi.manage"


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    url: str
    count: int
    current: bool


def page_context(request: HttpRequest, title: str) -> dict[str, Any]:
    """Title and live region of a page."""
    return {
        "tree_selected": "",
        "title": title,
        "region_url": request.get_full_path(),
        "refresh": "iscsi",
        "rev": IscsiRevision.current(),
    }


def tabs(current: str) -> list[Tab]:
    """The tabs of iSCSI with what each counts; `current` is a route."""
    targets, sessions = count_targets_and_sessions()
    counted = (
        ("Targets", "iscsi:targets", targets),
        ("LUNs", "iscsi:luns", Lun.objects.count()),
        ("CHAP users", "iscsi:users", ChapUser.objects.count()),
        ("Initiators", "iscsi:initiators", sessions),
        ("Nodes", "iscsi:nodes", IscsiNode.objects.count()),
    )
    return [Tab(label, reverse(route), count, route == current) for label, route, count in counted]


def action(
    key: str, label: str, icon: str, route: str, pk: int | None = None, reason: str = "", how: How = "dialog"
) -> Action:
    """An action by its route; keys in `_DANGER` are shown as such."""
    url = reverse(f"iscsi:{route}", args=[] if pk is None else [pk])
    return Action(key, label, icon, url, how, reason, key in _DANGER)


_DANGER = ("delete", "remove", "roll_back", "withdraw")


def refusal(request: HttpRequest) -> str:
    """Why this user may change nothing; "" when he may."""
    return "" if can(user_of(request), MANAGE) else NO_ROLE


def busy(keys: Iterable[str]) -> str:
    """Why nothing else can be begun about what these locks are of: the task that holds one. One query."""
    held = TaskLock.objects.filter(key__in=list(keys)).order_by("task_id").values_list("task", "task__title")[:1]
    return "".join(f"Task {pk} is running: {title}" for pk, title in held)
