"""The exact Origin check of every websocket route (Channels' own ignores scheme and port)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

DEFAULT_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]


def parse(text: str) -> Origin | None:
    """(scheme, host, port) of an Origin header; None for "null" and for anything that is not a bare origin."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not bare or text != text.strip():
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]


def header(scope: dict[str, Any]) -> str | None:
    """The Origin header of an ASGI scope; None when it is missing or sent more than once."""
    values = [value for name, value in scope.get("headers", []) if name.lower() == b"origin"]
    return values[0].decode("latin-1") if len(values) == 1 else None


def allowed(scope: dict[str, Any], origins: Iterable[str] | None = None) -> bool:
    """Whether the browser's page has one of the exact origins (default: settings.ALLOWED_ORIGINS)."""
    text = header(scope)
    origin = parse(text) if text is not None else None
    return origin is not None and origin in {parse(each) for each in origins or settings.ALLOWED_ORIGINS}
