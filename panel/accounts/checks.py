"""Start-up checks: what would be dangerous on a network is refused."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, register


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@register(Tags.security)
def safe_to_listen(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Debug mode or a missing key must not be reachable from a network."""
    errors = []
    if settings.DEBUG and not _is_loopback(settings.HOST):
        errors.append(
            Error(
                f"MOORING_DEBUG is on while the panel listens on {settings.HOST}.",
                hint="Switch MOORING_DEBUG off, or set MOORING_HOST to 127.0.0.1.",
                id="mooring.E001",
            )
        )
    if settings.SECRET_KEY == "not-prepared":  # noqa: S105
        errors.append(
            Error(
                f"There is no secret key in {settings.KEYS_DIR}.",
                hint="Run `manage.py prepare` once (bin/up does).",
                id="mooring.E002",
            )
        )
    return errors
