"""The search form of the audit trail."""

from datetime import date

import django_filters as filters
from django import forms
from django.db.models import Q, QuerySet

from panel.audit.models import AuditRecord, Result
from panel.ui.zones import day_bounds, zone_of


def _field(label: str, **attributes: str) -> forms.TextInput:
    return forms.TextInput({"class": "form-control ctl-s", "aria-label": label, **attributes})


def _day(label: str) -> forms.DateInput:
    return forms.DateInput({"type": "date", "class": "form-control ctl-s", "aria-label": label})


class AuditFilter(filters.FilterSet):
    """Filters of the address: actor, source, action, result, target, text, since, until. What does not fit is left."""

    actor = filters.CharFilter(field_name="actor_name", lookup_expr="icontains", widget=_field("Filter by actor"))
    source = filters.CharFilter(lookup_expr="icontains", widget=_field("Filter by address"))
    action = filters.CharFilter(lookup_expr="icontains", widget=_field("Filter by action"))
    result = filters.ChoiceFilter(
        choices=Result.choices,
        empty_label="Any",
        widget=forms.Select({"class": "form-select ctl-s", "aria-label": "Filter by result"}),
    )
    target = filters.CharFilter(field_name="target_name", lookup_expr="icontains", widget=_field("Filter by object"))
    text = filters.CharFilter(method="by_text", widget=_field("Filter by text"))
    since = filters.DateFilter(method="by_since", widget=_day("From day"))
    until = filters.DateFilter(method="by_until", widget=_day("To day"))

    class Meta:
        model = AuditRecord
        fields: list[str] = []

    def by_text(self, rows: QuerySet[AuditRecord], name: str, value: str) -> QuerySet[AuditRecord]:
        """Words anywhere in an entry."""
        fields = ("detail", "action", "target_name", "actor_name", "source")
        return rows.filter(Q(*((f"{field}__icontains", value) for field in fields), _connector=Q.OR))

    def by_since(self, rows: QuerySet[AuditRecord], name: str, value: date) -> QuerySet[AuditRecord]:
        return rows.filter(at__gte=day_bounds(value, zone_of(self.request))[0])

    def by_until(self, rows: QuerySet[AuditRecord], name: str, value: date) -> QuerySet[AuditRecord]:
        return rows.filter(at__lt=day_bounds(value, zone_of(self.request))[1])
