"""How django-allauth behaves here: no sign-up, accounts are made by administrators."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib import messages
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "The user name or the password is wrong.",
        "too_many_login_attempts": "Too many failed attempts for this user. Wait five minutes, then try again.",
        "account_inactive": "This account is switched off. An administrator can switch it on.",
        "enter_current_password": "This is not your current password.",
        "incorrect_password": "This is not your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, request: HttpRequest, level: int, message_template: str = "", *args: Any, **kw: Any) -> None:
        """Signing in and out needs no message: the page shows it. A changed password does."""
        if message_template == "account/messages/password_changed.txt":
            messages.success(request, "Your password was changed. Other sessions of yours have ended.")

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/"
