"""Users and roles: the list, a new account, one account. All for administrators of everything."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from panel.accounts import duties, sessions
from panel.accounts import users as service
from panel.accounts.models import User
from panel.accounts.permissions import requires
from panel.accounts.second_factor import has_second_factor
from panel.ui.chips import filter_chip
from panel.ui.format import count
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Chip, Empty
from panel.users.forms import AddUserForm, PolicyForm, RenameForm, RoleFields, put_error
from panel.users.tables import UserFilter, UserTable, users


@require_safe
@requires("user.manage")
def user_list(request: HttpRequest) -> HttpResponse:
    """All accounts; to htmx the table alone."""
    search = UserFilter(request.GET, users(), request=request)
    table = UserTable(request, search.qs, search.form)
    chips = _chips(request)
    hidden = (chips[0].count or 0) - table.total
    text = f"{count(hidden, 'user')} {'is' if hidden == 1 else 'are'} hidden by it."
    empty = Empty("No user matches the filter", text, "filter-off", ("Clear filter", table.clear_url))
    policy = duties.second_factor_policy()
    context = {"table": table, "chips": chips, "empty": empty, "policy": PolicyForm(initial={"second_factor": policy})}
    return render_page(request, "users/list.html", context, fallback="users-table")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires("user.manage")
def user_add(request: HttpRequest) -> HttpResponse:
    """The form of a new account; its generated password is in the answer to the POST and nowhere else."""
    form = AddUserForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if form.is_valid():
            password, made = form.chosen()
            try:
                user = service.create(
                    actor=user_of(request),
                    username=form.cleaned_data["username"],
                    full_name=form.cleaned_data["full_name"],
                    password=password,
                    grants=[form.grant()],
                    request=request,
                )
            except service.AccountError as error:
                put_error(form, error)
            else:
                return show_password(request, user, password) if made else to_user(user)
        form.mark_errors()
        return render(request, "users/add.html", {"form": form}, status=422)
    return render(request, "users/add.html", {"form": form})


@require_safe
@requires("user.manage")
def user_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One account: who it is, its roles, how it signs in, its sessions."""
    user = get_object_or_404(User.objects.prefetch_related("role_bindings"), pk=pk)
    return show_user(request, user)


def show_user(request: HttpRequest, user: User, status: int = 200, **forms: Any) -> HttpResponse:
    """The page of an account; `forms` are those that were refused, with what was entered."""
    held = list(user.role_bindings.all())
    bindings = list(zip(held, service.describe_all(held), strict=True))
    context = {
        "account": user,
        "oneself": user.pk == user_of(request).pk,
        "bindings": bindings,
        "sessions": sessions.sessions_of(user, request.session.session_key),
        "two_factor": has_second_factor(user),
        "rename_form": RenameForm(initial={"full_name": user.get_full_name()}),
        "role_form": RoleFields(),
        **forms,
    }
    return render(request, "users/detail.html", context, status=status)


def show_password(request: HttpRequest, user: User, password: str) -> HttpResponse:
    """The one time that a generated password is shown; the caller's view is never cached."""
    return render(request, "users/password_once.html", {"account": user, "password": password})


def to_user(user: User) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("users:user", args=[user.pk]))


def _chips(request: HttpRequest) -> list[Chip]:
    counts = User.objects.aggregate(all=Count("pk"), off=Count("pk", filter=Q(is_active=False)))
    return [
        filter_chip(request, "All", counts["all"], {}),
        filter_chip(request, "Disabled", counts["off"], {"state": "off"}, "cancelled"),
    ]
