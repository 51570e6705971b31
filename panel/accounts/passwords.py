"""Passwords: the rules, in the words of the forms, and generated ones."""

import secrets

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from panel.accounts.models import User

MIN_LENGTH = 12
RULES = (
    f"At least {MIN_LENGTH} characters; a phrase of several words is good. Not the user name and not a common password."
)
OWN_RULES = f"{RULES} Not the one you have now either."
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that looks like something else


def generate() -> str:
    """A password of 20 characters, about 116 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))


class LongEnough:
    def validate(self, password: str, user: User | None = None) -> None:
        if len(password) < MIN_LENGTH:
            raise ValidationError(f"This password is too short: use at least {MIN_LENGTH} characters.", code="short")
        if len(set(password)) < 5:
            raise ValidationError("This password repeats too few characters. Use at least five different ones.")

    def get_help_text(self) -> str:
        return f"At least {MIN_LENGTH} characters."


class NotTheName:
    def validate(self, password: str, user: User | None = None) -> None:
        if user is None:
            return
        names = [user.username, *user.get_full_name().split()]
        rest = password.lower()
        for name in sorted((name.lower() for name in names if len(name) > 2), key=len, reverse=True):
            rest = rest.replace(name, "")
        if rest != password.lower() and len(rest) < MIN_LENGTH // 2:
            raise ValidationError("This password is little more than the name. Use other words.", code="name")

    def get_help_text(self) -> str:
        return "Not the user name."


class NotCommon(CommonPasswordValidator):
    def get_error_message(self) -> str:
        return "This password is on the list of common ones, which are tried first. Use another one."

    def get_help_text(self) -> str:
        return "Not a common password."


class NotThePresentOne:
    def validate(self, password: str, user: User | None = None) -> None:
        if user is not None and user.pk and user.check_password(password):
            raise ValidationError("This is the password you have now. Use another one.", code="same")

    def get_help_text(self) -> str:
        return "Not the present one."
