"""What every page of the shell needs."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Variables of base.html; touches the database only when a template reads the lazy ones."""
    return {"instance": settings.INSTANCE, "version": settings.VERSION}
