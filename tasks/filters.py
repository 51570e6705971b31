"""The search form of the Task Log."""

from datetime import date
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, Value

from panel.accounts.scopes import covered_by, visible
from panel.ui.zones import day_bounds, zone_of
from tasks.choices import OPEN_STATES, State
from tasks.models import Task, TaskTarget
from tasks.rights import Visitor

UNSUCCESSFUL = frozenset({State.FAILED, State.ERRORED, State.LOST})
# A status to filter by is a state, or one of these groups.
GROUPS: dict[str, tuple[str, frozenset[State]]] = {
    "open": ("Running or waiting", OPEN_STATES),
    "unsuccessful": ("Failed, lost or error", UNSUCCESSFUL),
}
STATUS_CHOICES = [*((key, label) for key, (label, _) in GROUPS.items()), *State.choices]
NODE = "node"


def _small(widget: forms.Widget, label: str, **attributes: str) -> forms.Widget:
    name = "form-select" if isinstance(widget, forms.Select) else "form-control"
    widget.attrs |= {"class": f"{name} ctl-s", "aria-label": label, **attributes}
    return widget


class TaskFilter(filters.FilterSet):
    """Filters of the address: text, status, node, initiator, from, to. What does not fit is ignored."""

    text = filters.CharFilter(
        method="by_text",
        widget=_small(
            forms.TextInput(), "Filter by operation, object or error", placeholder="Operation, object or error"
        ),
    )
    status = filters.ChoiceFilter(
        choices=STATUS_CHOICES, method="by_status", empty_label="Any", widget=_small(forms.Select(), "Filter by status")
    )
    node = filters.ChoiceFilter(method="by_node", empty_label="Any", widget=_small(forms.Select(), "Filter by node"))
    initiator = filters.ChoiceFilter(
        field_name="initiator_name", empty_label="Any", widget=_small(forms.Select(), "Filter by initiator")
    )
    since = filters.DateFilter(method="by_since", widget=_small(forms.DateInput({"type": "date"}), "From day"))
    until = filters.DateFilter(method="by_until", widget=_small(forms.DateInput({"type": "date"}), "To day"))

    class Meta:
        model = Task
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        nodes, initiators = _names(self.request.user if self.request else None)
        self.filters["node"].extra["choices"] = [(name, name) for name in nodes]
        self.filters["initiator"].extra["choices"] = [(name, name) for name in initiators]

    def by_text(self, rows: QuerySet[Task], name: str, value: str) -> QuerySet[Task]:
        found = Q(title__icontains=value) | Q(object_name__icontains=value) | Q(reason__icontains=value)
        return rows.filter(found | Q(pk=int(value)) if value.isdecimal() and len(value) < 19 else found)

    def by_status(self, rows: QuerySet[Task], name: str, value: str) -> QuerySet[Task]:
        return rows.filter(state__in=GROUPS[value][1] if value in GROUPS else [value])

    def by_node(self, rows: QuerySet[Task], name: str, value: str) -> QuerySet[Task]:
        named = TaskTarget.objects.filter(object_type=NODE, object_name=value)
        return rows.filter(pk__in=named.values("task_id"))

    def by_since(self, rows: QuerySet[Task], name: str, value: date) -> QuerySet[Task]:
        return rows.filter(created_at__gte=day_bounds(value, zone_of(self.request))[0])

    def by_until(self, rows: QuerySet[Task], name: str, value: date) -> QuerySet[Task]:
        return rows.filter(created_at__lt=day_bounds(value, zone_of(self.request))[1])


def _names(user: Visitor) -> tuple[list[str], list[str]]:
    """The nodes that tasks were about, and the users: one query. Who sees some tasks only gets the names in these."""
    nodes = TaskTarget.objects.filter(object_type=NODE).order_by().values_list("object_type", "object_name")
    users = get_user_model().objects.order_by().values_list(Value("user"), "username")
    if covered_by(user, "task.view") is not None:
        shown = visible(user, "task.view", Task.objects.order_by())
        nodes = nodes.filter(task__in=shown.values("pk"))
        users = users.filter(username__in=shown.values("initiator_name"))
    found: set[tuple[str, str]] = set(nodes.union(users))
    return (
        sorted(name for kind, name in found if kind == NODE),
        sorted(name for kind, name in found if kind != NODE),
    )
