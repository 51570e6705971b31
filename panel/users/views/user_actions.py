"""What an administrator does to one account. Each is a POST; the dialogs are pages of their own without script."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from panel.accounts import users as service
from panel.accounts.models import SecondFactor, User
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from panel.users.forms import PasswordFields, PolicyForm, RenameForm, RoleFields, put_error
from panel.users.views.users import show_password, show_user, to_user


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A dialog that asks once: title, effect and the verb of its button, with {name} of the account; what it does."""

    title: str
    effect: str
    verb: str
    done: str
    run: Callable[..., Any]
    danger: bool = True


CONFIRMATIONS = {
    "disable": Confirmation(
        "Disable {name}",
        "{name} is signed out everywhere and cannot sign in until the account is enabled again. Tasks that run go on.",
        "Disable {name}",
        "{name} is disabled.",
        lambda **who: service.set_active(active=False, **who),
    ),
    "enable": Confirmation(
        "Enable {name}",
        "{name} can sign in again, with the same password and roles.",
        "Enable {name}",
        "{name} is enabled.",
        lambda **who: service.set_active(active=True, **who),
        danger=False,
    ),
    "second-factor": Confirmation(
        "Reset two-factor sign-in of {name}",
        "The authenticator app and the recovery codes of {name} stop working; the password alone signs in. Make sure "
        "that it is {name} who asks for this.",
        "Reset two-factor sign-in",
        "Two-factor sign-in of {name} is reset.",
        service.reset_second_factor,
    ),
    "sessions": Confirmation(
        "End all sessions of {name}",
        "{name} is signed out in every browser within 5 s, open consoles included.",
        "End all sessions",
        "The sessions of {name} have ended.",
        service.end_sessions,
    ),
    "delete": Confirmation(
        "Delete {name}",
        "The account, its roles and its sessions go. The audit trail and the Task Log keep the name. To keep somebody "
        "out for a while, disable the account instead.",
        "Delete {name}",
        "{name} is deleted.",
        service.delete,
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@requires("user.manage")
def confirm(request: HttpRequest, pk: int, what: str) -> HttpResponse:
    """GET: the dialog. POST: do it; what cannot be done is said in the dialog."""
    user = get_object_or_404(User, pk=pk)
    asked = CONFIRMATIONS[what]
    name, refusal = user.username, ""
    if request.method == "POST":
        try:
            asked.run(actor=user_of(request), user=user, request=request)
        except service.AccountError as error:
            refusal = str(error)
        else:
            messages.success(request, asked.done.format(name=name))
            return HttpResponseRedirect(reverse("users:list")) if what == "delete" else to_user(user)
    context = {
        "account": user,
        "what": what,
        "danger": asked.danger,
        "refusal": refusal,
        **{part: getattr(asked, part).format(name=name) for part in ("title", "effect", "verb")},
    }
    return render_page(request, "users/confirm.html", context, fallback="dialog", status=409 if refusal else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires("user.manage")
def password(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the user another password; a generated one is shown once."""
    user = get_object_or_404(User, pk=pk)
    form = PasswordFields(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        if form.is_valid():
            chosen, made = form.chosen()
            try:
                service.set_password(actor=user_of(request), user=user, password=chosen, request=request)
            except service.AccountError as error:
                put_error(form, error)
            else:
                if made:
                    return show_password(request, user, chosen)
                messages.success(request, f"The password of {user} is set. It must be changed at the next sign-in.")
                return to_user(user)
        form.mark_errors()
        status = 422
    return render_page(
        request, "users/password.html", {"account": user, "form": form}, fallback="dialog", status=status
    )


@require_POST
@requires("user.manage")
def rename(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    form = RenameForm(request.POST)
    if not form.is_valid():
        form.mark_errors()
        return show_user(request, user, 422, rename_form=form)
    service.rename(actor=user_of(request), user=user, full_name=form.cleaned_data["full_name"], request=request)
    messages.success(request, "The full name is saved.")
    return to_user(user)


@require_POST
@requires("user.manage")
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    form = RoleFields(request.POST)
    if form.is_valid():
        try:
            service.grant_role(actor=user_of(request), user=user, grant=form.grant(), request=request)
        except service.AccountError as error:
            put_error(form, error)
        else:
            return to_user(user)
    form.mark_errors()
    return show_user(request, user, 422, role_form=form)


@require_POST
@requires("user.manage")
def revoke(request: HttpRequest, pk: int, binding: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        service.revoke_role(actor=user_of(request), user=user, binding_id=binding, request=request)
    except service.AccountError as error:
        return show_user(request, user, 409, refusal=str(error))
    return to_user(user)


@require_POST
@requires("user.manage")
def end_session(request: HttpRequest, pk: int, session: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        service.end_sessions(actor=user_of(request), user=user, session_id=session, request=request)
    except service.AccountError as error:
        return show_user(request, user, 409, refusal=str(error))
    return to_user(user)


@require_POST
@requires("user.manage")
def policy(request: HttpRequest) -> HttpResponse:
    """Who must have a second factor."""
    form = PolicyForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose who must have a second factor from the list.")
    else:
        chosen = SecondFactor(form.cleaned_data["second_factor"])
        service.set_policy(actor=user_of(request), second_factor=chosen, request=request)
        messages.success(request, f"Two-factor sign-in: {chosen.label.lower()}.")
    return HttpResponseRedirect(reverse("users:list"))
