"""Forms of accounts. The services check again what matters; here the fields get their words and limits."""

from typing import Any

from django import forms

from panel.accounts import passwords
from panel.accounts.models import SecondFactor
from panel.accounts.roles import Role
from panel.accounts.scopes import scopes
from panel.accounts.users import AccountError, Grant
from panel.ui.forms import Fields

EVERYTHING = ""
_GENERATE, _TYPED = "generate", "typed"


class RoleFields(Fields):
    """A role and the part of the tree it is for."""

    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)
    scope = forms.ChoiceField(label="Over", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        listed = [scope for scope in scopes() if scope.listed]
        parts = [
            (f"{scope.type}:{id}", f"{scope.word} {name}") for scope in listed for id, name in scope.names().items()
        ]
        self.fields["scope"].choices = [(EVERYTHING, "Everything"), *parts]  # type: ignore[attr-defined]
        self.fields["scope"].error_messages["invalid_choice"] = "This part of the tree is gone. Choose another."

    def grant(self) -> Grant:
        """What was chosen."""
        type, _, id = self.cleaned_data["scope"].partition(":")
        return Grant(self.cleaned_data["role"], type, int(id) if id else None)


class PasswordFields(Fields):
    """A password that is made, or one that is typed."""

    how = forms.ChoiceField(
        label="Password",
        choices=[(_GENERATE, "Make one and show it once"), (_TYPED, "Type one")],
        initial=_GENERATE,
    )
    password = forms.CharField(
        label="Typed password",
        required=False,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=passwords.RULES,
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("how") == _TYPED and not values.get("password"):
            self.add_error("password", "Type the password, or have one made.")
        return values

    def chosen(self) -> tuple[str, bool]:
        """The password, and whether it was made here."""
        if self.cleaned_data["how"] == _GENERATE:
            return passwords.generate(), True
        return self.cleaned_data["password"], False


class AddUserForm(PasswordFields, RoleFields):
    """A new account. The user must change the password at the first sign-in."""

    username = forms.CharField(
        label="User name", max_length=64, help_text="Letters, digits and . _ @ + -; what the user signs in with"
    )
    full_name = forms.CharField(label="Full name", max_length=150, required=False)


class RenameForm(Fields):
    full_name = forms.CharField(label="Full name", max_length=150, required=False)


class PolicyForm(Fields):
    second_factor = forms.ChoiceField(label="Two-factor sign-in", choices=SecondFactor.choices)


def put_error(form: Fields, error: AccountError) -> None:
    """Show what the service says at its field, or above the form."""
    form.add_error(error.field if error.field in form.fields else None, str(error))
    form.mark_errors()
