"""What is recorded of signing in and of the second factor, and what follows from it."""

from typing import Any

from allauth.account.signals import authentication_step_completed, password_changed
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from panel.accounts import duties, second_factor, sessions
from panel.accounts.models import RoleBinding, User
from panel.audit.services import record

_FACTOR_WORDS = {"totp": "authenticator app", "recovery_codes": "recovery codes"}


@receiver(authentication_step_completed)
def on_first_step(sender: Any, request: HttpRequest, user: User, method: str, **kwargs: Any) -> None:
    if method == "password":
        second_factor.remember_password(request, user)


@receiver(user_logged_in)
def on_login(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    sessions.started(request, user)
    record(action="account.login", actor=user, request=request)


@receiver(user_logged_out)
def on_logout(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record(action="account.logout", actor=user, request=request)


@receiver(user_login_failed)
def on_failed_login(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """A wrong password at the login, or of a signed-in user who was asked for it again."""
    user = getattr(request, "user", None)
    if isinstance(user, User):
        record(action="account.confirm", actor=user, request=request, result="failed", detail="wrong password")
        return
    record(
        action="account.login",
        request=request,
        result="failed",
        detail=f"wrong user name or password for {str(credentials.get('username', ''))[:150]!r}",
    )


@receiver(password_changed)
def on_password_changed(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """The other sessions are worth nothing now; they go, so that the list is true."""
    ended = sessions.end(user, keep=request.session.session_key)
    sessions.started(request, user)
    record(action="account.password", actor=user, request=request, detail=f"other sessions ended: {ended}")


@receiver(mfa.authenticator_added)
def on_factor_added(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kw: Any) -> None:
    _record_factor("account.second_factor.on", request, user, authenticator)


@receiver(mfa.authenticator_removed)
def on_factor_removed(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kw: Any) -> None:
    _record_factor("account.second_factor.off", request, user, authenticator)


@receiver(mfa.authenticator_reset)
def on_codes_made(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kw: Any) -> None:
    _record_factor("account.recovery_codes.new", request, user, authenticator)


@receiver(mfa.authenticator_used)
def on_factor_used(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kw: Any) -> None:
    """A code of the app is part of a sign-in, which has its row; a recovery code is worth one of its own."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        left = len(Authenticator.objects.get(pk=authenticator.pk).wrap().get_unused_codes())  # as it is by now
        record(action="account.recovery_code.used", actor=user, request=request, detail=f"{left} left")


@receiver(mfa.authentication_failed)
def on_wrong_code(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    record(action="account.second_factor", actor=user, request=request, result="failed", detail="wrong or used code")


@receiver([post_save, post_delete], sender=RoleBinding)
@receiver([post_save, post_delete], sender=Authenticator)
def on_duties_changed(sender: Any, instance: RoleBinding | Authenticator, **kwargs: Any) -> None:
    """Who owes a second factor depends on roles and authenticators, whoever changes them."""
    duties.settle(User.objects.filter(pk=instance.user_id))


@receiver(post_save, sender=User)
def on_user_saved(
    sender: Any, instance: User, created: bool, update_fields: frozenset[str] | None = None, **kwargs: Any
) -> None:
    """bin/up prints the first password until it is changed; then the copy must go."""
    if created:
        duties.settle(User.objects.filter(pk=instance.pk))
    if update_fields is not None and "password" not in update_fields:
        return
    path = settings.KEYS_DIR / "initial_password"
    if path.exists() and instance.username == "admin" and not instance.check_password(path.read_text().strip()):
        path.unlink(missing_ok=True)


def _record_factor(action: str, request: HttpRequest, user: User, authenticator: Authenticator) -> None:
    words = _FACTOR_WORDS.get(authenticator.type, authenticator.type)
    record(action=action, actor=user, request=request, target=user, detail=words)
