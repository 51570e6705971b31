"""How django-allauth behaves here: no sign-up, accounts are made by administrators."""

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from panel.accounts import limits
from panel.accounts.models import User

_NOTES = {
    "account/messages/password_changed.txt": "Your password was changed. Other sessions of yours have ended.",
    "mfa/messages/totp_deactivated.txt": "Two-factor sign-in is off. Your recovery codes are gone too.",
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "The user name or the password is wrong.",
        # Of the second step; the first one says the very second (pre_authenticate).
        "too_many_login_attempts": "Too many wrong codes. Wait five minutes, then try again.",
        "account_inactive": "This account is switched off. An administrator can switch it on.",
        "enter_current_password": "This is not your current password.",
        "incorrect_password": "This is not your password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, request: HttpRequest, level: int, message_template: str = "", *args: Any, **kw: Any) -> None:
        """Signing in and out needs no message: the page shows it. What ends something does."""
        if message_template in _NOTES:
            messages.success(request, _NOTES[message_template])

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return "/"

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """The user's own choice: the duty to change it is done. Nothing else of the row is written: it may be old."""
        account = cast("User", user)
        account.set_password(password)
        account.must_change_password = False
        account.save(update_fields=["password", "must_change_password"])

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the attempt; beyond a limit say when the next one is free."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            key = self._get_login_attempts_cache_key(request, **credentials)
            wait = limits.in_words(limits.seconds_left(request, "login_failed", key))
            raise ValidationError(
                f"Too many failed attempts for this user or from your address. Try again {wait}."
            ) from error

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """The account alone. The library's key has the Host header in it, whose port a guesser may vary at will."""
        return f"account:{str(credentials.get('username', '')).lower()}"
