"""Where each process leaves its sign of life, and how healthy the parts are."""

from typing import Any

from django.utils import timezone

from panel.health.models import Beat


def beat(name: str, **detail: Any) -> None:
    """Leave a sign of life; call it every few seconds at most."""
    Beat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": detail})
