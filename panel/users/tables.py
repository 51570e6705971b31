"""The list of users."""

from typing import Any

import django_filters as filters
from allauth.mfa.models import Authenticator
from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet

from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.accounts.users import describe_all
from panel.ui.tables import Column, Table


def users() -> QuerySet[User]:
    """Users with what the list shows of each."""
    has_one = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
    return User.objects.annotate(two_factor=Exists(has_one)).prefetch_related("role_bindings")


class UserFilter(filters.FilterSet):
    """Filters of the address: q (user or full name), role, state. What does not fit is ignored."""

    q = filters.CharFilter(
        method="by_name",
        widget=forms.TextInput({"class": "form-control ctl-s", "aria-label": "Filter by user"}),
    )
    role = filters.ChoiceFilter(
        method="by_role",
        choices=Role.choices,
        empty_label="Any",
        widget=forms.Select({"class": "form-select ctl-s", "aria-label": "Filter by role"}),
    )
    state = filters.ChoiceFilter(
        method="by_state",
        choices=[("on", "Enabled"), ("off", "Disabled")],
        empty_label="Any",
        widget=forms.Select({"class": "form-select ctl-s", "aria-label": "Filter by status"}),
    )

    class Meta:
        model = User
        fields: list[str] = []

    def by_name(self, rows: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return rows.filter(Q(username__icontains=value) | Q(first_name__icontains=value))

    def by_role(self, rows: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return rows.filter(pk__in=User.objects.filter(role_bindings__role=value).values("pk"))

    def by_state(self, rows: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return rows.filter(is_active=value == "on")


class UserTable(Table):
    columns = (
        Column("name", "User", ("username",), filter="q", fixed=True),
        Column("full", "Full name", ("first_name",), minor=True),
        Column("roles", "Roles", filter="role"),
        Column("factor", "Two-factor", ("two_factor",)),
        Column("state", "Status", ("is_active",), filter="state"),
        Column("last", "Last sign-in", ("last_login",), descending=True),
    )
    row_template = "users/_row.html"
    noun = ("user", "users")
    region = "users-table"
    label = "Users"
    default_sort = "name"
    tie_break = ("username", "pk")

    def decorate(self, rows: list[Any]) -> list[Any]:
        words = iter(describe_all([binding for row in rows for binding in row.role_bindings.all()]))
        for row in rows:
            row.role_words = [next(words) for _ in row.role_bindings.all()]
        return rows
