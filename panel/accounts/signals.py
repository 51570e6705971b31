"""What is recorded when somebody signs in, fails to, or signs out."""

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from panel.accounts.models import User
from panel.audit.services import record


@receiver(user_logged_in)
def on_login(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    record(action="account.login", actor=user, request=request)


@receiver(user_logged_out)
def on_logout(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        record(action="account.logout", actor=user, request=request)


@receiver(user_login_failed)
def on_failed_login(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    record(
        action="account.login",
        request=request,
        result="failed",
        detail=f"wrong user name or password for {str(credentials.get('username', ''))[:150]!r}",
    )


@receiver(post_save, sender=User)
def forget_initial_password(sender: Any, instance: User, **kwargs: Any) -> None:
    """bin/up prints the first password until it is changed; then the copy must go."""
    path = settings.KEYS_DIR / "initial_password"
    if path.exists() and instance.username == "admin" and not instance.check_password(path.read_text().strip()):
        path.unlink(missing_ok=True)
