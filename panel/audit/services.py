"""The one door to the audit trail."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from panel.audit.models import AuditRecord


def record(
    *,
    action: str,
    actor: AbstractBaseUser | AnonymousUser | None = None,
    request: HttpRequest | None = None,
    target: Any = None,
    result: str = "ok",
    detail: str = "",
    task_id: int | None = None,
) -> AuditRecord:
    """Write one row. The actor defaults to the request's user; the source is the request's peer address."""
    if actor is None and request is not None:
        actor = getattr(request, "user", None)
    user = actor if isinstance(actor, AbstractBaseUser) else None
    return AuditRecord.objects.create(
        actor_id=user.pk if user else None,
        actor_name=user.get_username() if user else "",
        source=(request.META.get("REMOTE_ADDR") or None) if request is not None else None,
        action=action[:200],
        target_type=target._meta.model_name if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_name=str(target)[:200] if target is not None else "",
        result=result,
        detail=detail,
        task_id=task_id,
    )
