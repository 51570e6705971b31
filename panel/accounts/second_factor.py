"""The second factor: codes of an authenticator app (RFC 6238) and recovery codes, on top of django-allauth.

The app's secret and the seed of the recovery codes are encrypted with the panel's key, which lies outside the database;
the secret is so in the session too, until it is confirmed. A code is taken once: each one must be of a later time step
than the last one that was accepted.
"""

import time
from typing import Any

import structlog
from allauth.core import context
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa import app_settings, signals
from allauth.mfa.adapter import DefaultMFAAdapter, get_adapter
from allauth.mfa.base.internal.flows import check_rate_limit, post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django import forms
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from panel.accounts.models import User
from panel.trust import encryption
from panel.trust.errors import TrustError

log = structlog.get_logger("mooring.accounts")
PENDING_SECONDS = 15 * 60  # how long the secret that is shown stays the same
_BLOCK = 4
_PASSWORD_KEY = "second_step_password"  # noqa: S105 the name of a session's entry


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets at rest, and names as an authenticator app shows them."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "The code is wrong, or it was used before. Enter the one that your app shows now.",
        "cannot_generate_recovery_codes": "Switch two-factor sign-in on first; recovery codes come with it.",
    }

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return f"Mooring {settings.INSTANCE}"

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return f"{self.get_totp_issuer()}:{user.get_username()}"


def matching_step(secret: str, code: str) -> int | None:
    """The time step that the code belongs to, within the tolerance; None when it is of none."""
    now = int(time.time()) // app_settings.TOTP_PERIOD
    for step in range(now - app_settings.TOTP_TOLERANCE, now + app_settings.TOTP_TOLERANCE + 1):
        if compare_user_code(actual=code, expected=totp.format_hotp_value(totp.hotp_value(secret, step))):
            return step
    return None


def accept(authenticator: Authenticator, code: str) -> bool:
    """Whether the code is right; what was right once is never right again. Raises TrustError."""
    if authenticator.type != Authenticator.Type.TOTP:
        return bool(authenticator.wrap().validate_code(code))
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        step = matching_step(encryption.decrypt(row.data["secret"]), code)
        if step is None or step <= row.data.get("last_step", 0):
            return False
        row.data["last_step"] = step
        row.save(update_fields=["data"])
    return True


def has_second_factor(user: User) -> bool:
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def in_blocks(secret: str) -> str:
    """The secret in groups of four, to be typed by hand."""
    return " ".join(secret[start : start + _BLOCK] for start in range(0, len(secret), _BLOCK))


class _CodeForm(forms.Form):
    code = forms.CharField(max_length=40, error_messages={"required": "Enter the code."})

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)


class ActivateForm(_CodeForm):
    """The first code of a new app; `secret` is the one that is shown, `step` the time step of the code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.secret = pending_secret()
        self.step = 0

    def clean_code(self) -> str:
        clear_failures = check_rate_limit(self.user)
        code: str = self.cleaned_data["code"]
        step = matching_step(self.secret, code)
        if step is None:
            raise get_adapter().validation_error("incorrect_code")
        clear_failures()
        self.step = step
        return code


class SignInForm(_CodeForm):
    """A code of the app, or a recovery code, after the password."""

    reauthentication = False
    authenticator: Authenticator

    def clean_code(self) -> str:
        if not self.reauthentication and not _password_holds(context.request, self.user):
            raise ValidationError("Your password was changed meanwhile. Start over, and sign in with the new one.")
        clear_failures = check_rate_limit(self.user)
        code: str = self.cleaned_data["code"]
        known = Authenticator.objects.filter(user=self.user).exclude(type=Authenticator.Type.WEBAUTHN)
        for authenticator in sorted(known, key=lambda each: each.type != Authenticator.Type.TOTP):
            if self._accept(authenticator, code):
                authenticator.user = self.user
                self.authenticator = authenticator
                clear_failures()
                return code
        signals.authentication_failed.send(
            sender=Authenticator,
            request=context.request,
            user=self.user,
            authenticator=None,
            reauthentication=self.reauthentication,
        )
        raise get_adapter().validation_error("incorrect_code")

    def save(self) -> None:
        post_authentication(context.request, self.authenticator, reauthenticated=self.reauthentication)

    def _accept(self, authenticator: Authenticator, code: str) -> bool:
        try:
            return accept(authenticator, code)
        except TrustError as error:
            log.error("a second factor cannot be checked", user=self.user.username, error=str(error))
            raise ValidationError(
                "Your code cannot be checked: its secret was stored with another key. Ask an administrator to reset "
                "your two-factor sign-in."
            ) from error


class ConfirmForm(SignInForm):
    """A code again, before something that needs a fresh confirmation."""

    reauthentication = True


def remember_password(request: HttpRequest, user: User) -> None:
    """Note which password began this sign-in: when it is changed before the code comes, the sign-in is void."""
    request.session[_PASSWORD_KEY] = user.get_session_auth_hash()


def _password_holds(request: HttpRequest, user: User) -> bool:
    return constant_time_compare(request.session.get(_PASSWORD_KEY, ""), user.get_session_auth_hash())


def pending_secret() -> str:
    """The secret of the app that is being added: the same for a while, so that a reload asks for no second scan."""
    session = context.request.session
    kept = session.get(totp.SECRET_SESSION_KEY)
    if isinstance(kept, dict) and time.time() - kept["at"] < PENDING_SECONDS:
        try:
            return encryption.decrypt(kept["secret"])
        except TrustError:
            log.info("a new secret is made: the one in the session was stored with another key")
    secret: str = totp.generate_totp_secret()
    session[totp.SECRET_SESSION_KEY] = {"secret": encryption.encrypt(secret), "at": time.time()}
    return secret
