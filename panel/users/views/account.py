"""One's own account: the password, the second factor, the sessions. The rest of it is django-allauth's own views."""

from typing import Any

from allauth.account.views import PasswordChangeView
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from panel.accounts import duties, passwords, sessions
from panel.accounts.permissions import requires
from panel.accounts.second_factor import in_blocks
from panel.audit.services import record
from panel.ui.signed_in import user_of


@method_decorator(never_cache, name="dispatch")
class PasswordChange(PasswordChangeView):
    """The password page; on its own, outside the shell, while the user may open nothing else."""

    def get_template_names(self) -> list[str]:
        due = duties.duty_of(user_of(self.request)) == duties.PASSWORD
        return ["account/password_first.html" if due else "account/password_change.html"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "rules": passwords.OWN_RULES}

    def form_invalid(self, form: Any) -> HttpResponse:
        if "oldpassword" in form.errors:
            record(action="account.password", request=self.request, result="failed", detail="wrong current password")
        return self.render_to_response(self.get_context_data(form=form), status=422)


@method_decorator(never_cache, name="dispatch")
class ActivateApp(ActivateTOTPView):
    """Adding an authenticator app: the QR code, the secret as text, the first code."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        user = user_of(self.request)
        return {**context, "secret": in_blocks(context["form"].secret), "due": bool(duties.duty_of(user))}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        # The code that proved the app is used up too.
        row = Authenticator.objects.get(user=user_of(self.request), type=Authenticator.Type.TOTP)
        row.data["last_step"] = form.step
        row.save(update_fields=["data"])
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


@never_cache
@require_safe
@requires("account.self")
def own_sessions(request: HttpRequest) -> HttpResponse:
    """Where this user is signed in; this session is marked."""
    rows = sessions.sessions_of(user_of(request), request.session.session_key)
    return render(request, "users/sessions.html", {"sessions": rows, "hours": sessions.SESSION_HOURS})


@require_POST
@requires("account.self")
def end_own_session(request: HttpRequest, session: int) -> HttpResponse:
    """End one of one's own other sessions; ids of somebody else's end nothing. This one ends by signing out."""
    ended = sessions.end(user_of(request), ids=[session], keep=request.session.session_key)
    return _ended(request, ended)


@require_POST
@requires("account.self")
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this one."""
    ended = sessions.end(user_of(request), keep=request.session.session_key)
    return _ended(request, ended)


def _ended(request: HttpRequest, ended: int) -> HttpResponse:
    words = "1 session has ended." if ended == 1 else f"{ended} sessions have ended."
    record(action="account.sessions.end", request=request, target=user_of(request), detail=words)
    messages.success(request, words if ended else "It had ended already.")
    return HttpResponseRedirect(reverse("own_sessions"))
