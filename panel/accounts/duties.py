"""What a user must do before Mooring lets them do anything else.

Both duties are columns of the user's row, so that asking costs no query on a page or a socket. The second one is
derived from the policy, the roles and the authenticators; `settle` is called whenever one of them changes.
"""

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from panel.accounts.models import AccountPolicy, RoleBinding, SecondFactor, User
from panel.accounts.roles import Role

PASSWORD, FACTOR = "password", "factor"
# The pages that fulfil a duty, by route name; the first one is where the user is led.
PAGES: dict[str, tuple[str, ...]] = {
    PASSWORD: ("account_change_password", "account_logout"),
    FACTOR: ("mfa_activate_totp", "account_reauthenticate", "account_logout"),
}


def duty_of(user: User | AnonymousUser) -> str:
    """PASSWORD, FACTOR, or "" when the user is free to go on."""
    if not isinstance(user, User):
        return ""
    if user.must_change_password:
        return PASSWORD
    return FACTOR if user.second_factor_due else ""


def second_factor_policy() -> SecondFactor:
    """Who must have a second factor."""
    policy = AccountPolicy.objects.first()
    return SecondFactor(policy.second_factor) if policy else SecondFactor.OPTIONAL


def settle(users: QuerySet[User] | None = None) -> None:
    """Derive again who owes a second factor, of these users or of all."""
    rows = User.objects.all() if users is None else users
    due = _due(second_factor_policy())
    rows.filter(due, second_factor_due=False).update(second_factor_due=True)
    rows.filter(~due, second_factor_due=True).update(second_factor_due=False)


def _due(policy: SecondFactor) -> Q:
    if policy == SecondFactor.OPTIONAL:
        return Q(pk__in=[])
    has_one = Q(Exists(Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)))
    if policy == SecondFactor.EVERYONE:
        return ~has_one
    return ~has_one & Q(Exists(RoleBinding.objects.filter(user=OuterRef("pk"), role=Role.ADMINISTRATOR)))
