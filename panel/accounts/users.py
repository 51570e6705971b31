"""What administrators do to accounts. The pages and the command line call these functions.

Each one asks for the right `user.manage` over the whole system, changes in one transaction and audits. `actor` None is
the command line: whoever may run it as root needs no role. Raises PermissionDenied, or AccountError for what cannot be.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest

from panel.accounts import duties, sessions
from panel.accounts.models import AccountPolicy, RoleBinding, SecondFactor, User
from panel.accounts.permissions import require
from panel.accounts.roles import Role
from panel.accounts.scopes import is_scope, scope_of
from panel.audit.services import record

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class AccountError(Exception):
    """It cannot be done; the message says why and what to do. `field` names the form's field at fault, if one is."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Grant:
    """A role over everything, or over one part of the tree."""

    role: str
    scope_type: str = ""
    scope_id: int | None = None


@contextmanager
def _change(actor: User | None, request: HttpRequest | None, action: str, target: User | None = None) -> Iterator[None]:
    """A transaction in which no other account changes, and after which somebody is left who can manage users.

    The right is asked inside it: it may have gone meanwhile.
    """
    with transaction.atomic():
        list(User.objects.select_for_update(of=("self",)).filter(role_bindings__role=Role.ADMINISTRATOR).order_by("pk"))
        if actor is not None:
            fresh = User.objects.filter(pk=actor.pk).prefetch_related("role_bindings").first()
            try:
                require(fresh, "user.manage")
            except PermissionDenied as refusal:
                denied: PermissionDenied | None = refusal
            else:
                denied = None
        else:
            denied = None
        if denied is None:
            had_one = _administrators()
            yield
            if had_one and not _administrators():
                raise AccountError("This is the last administrator of everything. Make another one first.")
    if denied is not None:
        record(action=action, actor=actor, request=request, target=target, result="refused", detail=str(denied))
        raise denied


def create(
    *,
    actor: User | None,
    username: str,
    password: str,
    grants: list[Grant],
    full_name: str = "",
    must_change: bool = True,
    request: HttpRequest | None = None,
) -> User:
    """Make an account. The password is checked against the rules; `must_change` lets it open the password page only."""
    with _change(actor, request, "user.add"):
        name = unicodedata.normalize("NFKC", username).strip()
        _check_username(name)
        user = User(username=name, first_name=full_name.strip()[:150], must_change_password=must_change)
        _check_password(password, user)
        user.set_password(password)
        user.save()
        for grant in grants:
            _bind(user, grant)
        held = ", ".join(describe(binding) for binding in user.role_bindings.all()) or "no role"
        record(action="user.add", actor=actor, request=request, target=user, detail=_by(actor, held))
    return user


def rename(*, actor: User | None, user: User, full_name: str, request: HttpRequest | None = None) -> None:
    """Set the full name."""
    with _change(actor, request, "user.rename", user):
        user.first_name, user.last_name = full_name.strip()[:150], ""
        user.save(update_fields=["first_name", "last_name"])
        record(action="user.rename", actor=actor, request=request, target=user, detail=_by(actor, user.first_name))


def grant_role(*, actor: User | None, user: User, grant: Grant, request: HttpRequest | None = None) -> None:
    """Bind a role to the user."""
    with _change(actor, request, "user.grant", user):
        _not_oneself(actor, user, "change your own roles")
        binding = _bind(user, grant)
        record(action="user.grant", actor=actor, request=request, target=user, detail=_by(actor, describe(binding)))


def revoke_role(*, actor: User | None, user: User, binding_id: int, request: HttpRequest | None = None) -> None:
    """Take a role away; open pages, sockets and consoles follow within 5 s."""
    with _change(actor, request, "user.revoke", user):
        _not_oneself(actor, user, "change your own roles")
        binding = user.role_bindings.filter(pk=binding_id).first()
        if binding is None:
            raise AccountError(f"{user} does not hold this role any more. Reload the page.")
        words = describe(binding)
        binding.delete()
        record(action="user.revoke", actor=actor, request=request, target=user, detail=_by(actor, words))


def set_active(*, actor: User | None, user: User, active: bool, request: HttpRequest | None = None) -> None:
    """Switch the account on, or off: then its sessions end too."""
    action = "user.enable" if active else "user.disable"
    with _change(actor, request, action, user):
        _not_oneself(actor, user, "disable your own account")
        user.is_active = active
        user.save(update_fields=["is_active"])
        ended = 0
        if not active:
            ended = sessions.end(user)
        detail = f"sessions ended: {ended}"
        record(action=action, actor=actor, request=request, target=user, detail=_by(actor, detail))


def set_password(
    *, actor: User | None, user: User, password: str, must_change: bool = True, request: HttpRequest | None = None
) -> None:
    """Give the user another password and end their sessions."""
    with _change(actor, request, "user.password", user):
        _not_oneself(actor, user, "set your own password here: use Change password in the account menu")
        _check_password(password, user)
        user.set_password(password)
        user.must_change_password = must_change
        user.save(update_fields=["password", "must_change_password"])  # the rest may have changed since it was read
        sessions.end(user)
        record(action="user.password", actor=actor, request=request, target=user, detail=_by(actor, "sessions ended"))


def reset_second_factor(*, actor: User | None, user: User, request: HttpRequest | None = None) -> None:
    """Take the user's authenticator and recovery codes away, so that the password alone signs them in."""
    with _change(actor, request, "user.second_factor.reset", user):
        _not_oneself(actor, user, "reset your own second factor: use Two-factor sign-in in the account menu")
        if not Authenticator.objects.filter(user=user).delete()[0]:
            raise AccountError(f"{user} has no second factor.")
        record(action="user.second_factor.reset", actor=actor, request=request, target=user, detail=_by(actor, ""))


def end_sessions(
    *, actor: User | None, user: User, session_id: int | None = None, request: HttpRequest | None = None
) -> int:
    """End one of the user's sessions, or all. Returns how many ended."""
    with _change(actor, request, "user.sessions.end", user):
        _not_oneself(actor, user, "end your own sessions here: use Sessions in the account menu")
        ended = sessions.end(user, ids=None if session_id is None else [session_id])
        detail = _by(actor, f"sessions ended: {ended}")
        record(action="user.sessions.end", actor=actor, request=request, target=user, detail=detail)
    return ended


def delete(*, actor: User | None, user: User, request: HttpRequest | None = None) -> None:
    """Delete the account. The audit trail and the Task Log keep its name."""
    with _change(actor, request, "user.delete", user):
        _not_oneself(actor, user, "delete your own account")
        sessions.end(user)
        record(action="user.delete", actor=actor, request=request, target=user, detail=_by(actor, ""))
        user.delete()


def set_policy(*, actor: User | None, second_factor: SecondFactor, request: HttpRequest | None = None) -> None:
    """Say who must have a second factor; whoever owes one is led to it on their next page."""
    with _change(actor, request, "user.policy"):
        policy = AccountPolicy.objects.first() or AccountPolicy()
        policy.second_factor = second_factor
        policy.save()
        duties.settle()
        record(action="user.policy", actor=actor, request=request, detail=_by(actor, str(policy)))


def describe(binding: RoleBinding) -> str:
    """ "Operator of node primary", "Administrator of everything"."""
    return describe_all([binding])[0]


def describe_all(bindings: Sequence[RoleBinding]) -> list[str]:
    """Each binding in words; one query for each type of part, whatever their number."""
    wanted: dict[str, set[int]] = {}
    for binding in bindings:
        if binding.scope_type and binding.scope_id is not None:
            wanted.setdefault(binding.scope_type, set()).add(binding.scope_id)
    names = {type: scope_of(type).names(ids) for type, ids in wanted.items() if is_scope(type)}
    return [f"{_role_words(binding)} of {_scope_words(binding, names)}" for binding in bindings]


def _role_words(binding: RoleBinding) -> str:
    return str(Role(binding.role).label) if binding.role in Role.values else binding.role


def _scope_words(binding: RoleBinding, names: Mapping[str, Mapping[int, str]]) -> str:
    """ "everything", "node primary", "node 7, which is gone"."""
    if not binding.scope_type:
        return "everything"
    if binding.scope_type not in names or binding.scope_id is None:
        return f"{binding.scope_type} {binding.scope_id}"
    word = scope_of(binding.scope_type).word
    word = word if word.isupper() else word.lower()
    name = names[binding.scope_type].get(binding.scope_id)
    return f"{word} {name}" if name else f"{word} {binding.scope_id}, which is gone"


def _by(actor: User | None, detail: str) -> str:
    return detail if actor is not None else f"{detail} (command line)".strip()


def _check_username(name: str) -> None:
    if not _USERNAME.fullmatch(name):
        raise AccountError(
            "Use 1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit.", field="username"
        )
    if User.objects.filter(username__iexact=name).exists():
        raise AccountError(f"There is a user {name} already. Choose another name.", field="username")


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise AccountError(" ".join(error.messages), field="password") from error


def _bind(user: User, grant: Grant) -> RoleBinding:
    if grant.role not in Role.values:
        raise AccountError("Choose a role from the list.", field="role")
    if grant.scope_type:
        asked = [grant.scope_id] if grant.scope_id is not None else []
        if not is_scope(grant.scope_type) or not scope_of(grant.scope_type).names(asked):
            raise AccountError("This part of the tree does not exist any more. Choose another.", field="scope")
    binding, made = RoleBinding.objects.get_or_create(
        user=user, role=grant.role, scope_type=grant.scope_type, scope_id=grant.scope_id if grant.scope_type else None
    )
    if not made:
        raise AccountError(f"{user} is {describe(binding)} already.", field="role")
    return binding


def _not_oneself(actor: User | None, user: User, what: str) -> None:
    if actor is not None and actor.pk == user.pk:
        raise AccountError(f"You cannot {what}." if ":" in what else f"You cannot {what}. Ask another administrator.")


def _administrators() -> bool:
    """Whether somebody can manage users."""
    return RoleBinding.objects.filter(role=Role.ADMINISTRATOR, scope_type="", user__is_active=True).exists()
