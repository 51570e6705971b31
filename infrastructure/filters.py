"""What the lists can be filtered by."""

from typing import Any

import django_filters as filters
from django import forms
from django.db.models import Q, QuerySet

from infrastructure.choices import Kind, NodeState, VEState
from infrastructure.models import VE, Node
from infrastructure.querysets import current_nodes, needs_attention, ve_attention

NODE_STATUS = (
    ("running", "Running"),
    ("attention", "Needs attention"),
    ("maintenance", "Maintenance"),
    ("unreachable", "No contact"),
    ("new", "Not set up"),
)
VE_STATUS = (*VEState.choices, ("attention", "Needs attention"))


def text_widget(label: str, placeholder: str) -> forms.TextInput:
    return forms.TextInput(
        attrs={
            "class": "form-control ctl-s",
            "aria-label": label,
            "placeholder": placeholder,
            "maxlength": 100,
            "autocomplete": "off",
        }
    )


def choice_widget(label: str) -> forms.Select:
    return forms.Select(attrs={"class": "form-select ctl-s", "aria-label": label})


class NodeFilter(filters.FilterSet):
    """Filters of Hardware Nodes."""

    status = filters.ChoiceFilter(
        choices=NODE_STATUS, method="by_status", empty_label="Any", widget=choice_widget("Filter by status")
    )
    q = filters.CharFilter(method="by_name", widget=text_widget("Filter by hostname", "Contains"))
    address = filters.CharFilter(lookup_expr="icontains", widget=text_widget("Filter by IP address", "Contains"))
    rack = filters.CharFilter(method="by_location", widget=text_widget("Filter by location", "Contains"))

    class Meta:
        model = Node
        fields: list[str] = []

    def by_name(self, nodes: QuerySet[Node], name: str, value: str) -> QuerySet[Node]:
        return nodes.filter(Q(name__icontains=value) | Q(hostname__icontains=value))

    def by_location(self, nodes: QuerySet[Node], name: str, value: str) -> QuerySet[Node]:
        return nodes.filter(Q(rack__icontains=value) | Q(row__icontains=value) | Q(room__icontains=value))

    def by_status(self, nodes: QuerySet[Node], name: str, value: str) -> QuerySet[Node]:
        wanted = {
            "running": current_nodes() & Q(maintenance=False),
            "attention": needs_attention(),
            "maintenance": Q(maintenance=True),
            "unreachable": ~current_nodes() & ~Q(state=NodeState.NEW),
            "new": Q(state=NodeState.NEW),
        }
        return nodes.filter(wanted[value])


class VEFilter(filters.FilterSet):
    """Filters of Virtual Environments."""

    status = filters.ChoiceFilter(
        choices=VE_STATUS, method="by_status", empty_label="Any", widget=choice_widget("Filter by status")
    )
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", widget=text_widget("Filter by name", "Contains"))
    kind = filters.ChoiceFilter(
        choices=Kind.choices, empty_label="Any", widget=choice_widget("Filter by virtualization product")
    )
    node = filters.CharFilter(
        field_name="node__name", lookup_expr="icontains", widget=text_widget("Filter by node", "Contains")
    )
    address = filters.CharFilter(
        field_name="addresses", lookup_expr="icontains", widget=text_widget("Filter by IP address", "Contains")
    )

    class Meta:
        model = VE
        fields: list[str] = []

    def by_status(self, ves: QuerySet[VE], name: str, value: str) -> QuerySet[VE]:
        if value == "attention":
            return ves.filter(ve_attention())
        if value == VEState.MISSING:
            return ves.filter(Q(state=value) | Q(node=None))
        # What a silent node had last is not claimed to be so now.
        known = ves.filter(node__in=Node.objects.filter(current_nodes()))
        return ves.exclude(pk__in=known.values("pk")) if value == VEState.UNKNOWN else known.filter(state=value)


def checked(filterset: filters.FilterSet) -> tuple[QuerySet[Any], Any]:
    """The filtered rows and the form for the header; a value that no choice has filters nothing."""
    return filterset.qs, filterset.form
