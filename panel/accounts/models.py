"""Users, and which role each has over which part of the tree."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from panel.accounts.roles import Role


class User(AbstractUser):
    """A person or service that signs in. The full name is kept in `first_name`."""

    # What must be done before anything else may be: read with the user's row, so that asking costs nothing (duties.py).
    must_change_password = models.BooleanField(default=False)
    second_factor_due = models.BooleanField(default=False)


class RoleBinding(models.Model):
    """User × role × part of the tree; an empty scope is the whole system."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_bindings")
    role = models.CharField(max_length=20, choices=Role.choices)
    scope_type = models.CharField(max_length=20, blank=True, default="")
    scope_id = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "role", "scope_type", "scope_id"], name="one_binding_each"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.scope_type or 'everything'} {self.scope_id or ''}".strip()

    def covers(self, obj: object | None) -> bool:
        """Whether this binding speaks about the object; None asks about the system as a whole.

        An object names the scopes it lies in by `scopes()`, pairs of (type, id): a VE lies in its node's scope too.
        """
        if not self.scope_type:
            return True
        scopes = getattr(obj, "scopes", None)
        return callable(scopes) and (self.scope_type, self.scope_id) in scopes()


class SecondFactor(models.TextChoices):
    """Who must sign in with a second factor."""

    OPTIONAL = "optional", "Optional for everybody"
    ADMINISTRATORS = "administrators", "Required for administrators"
    EVERYONE = "everyone", "Required for everybody"


class AccountPolicy(models.Model):
    """The rules for all accounts: one row, made when a rule is first changed."""

    second_factor = models.CharField(max_length=20, choices=SecondFactor.choices, default=SecondFactor.OPTIONAL)

    def __str__(self) -> str:
        return f"Second factor: {self.get_second_factor_display()}"
