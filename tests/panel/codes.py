"""Codes of an authenticator app, computed apart from the code under test (RFC 4226, RFC 6238)."""

import base64
import hashlib
import hmac


def code_at(secret: str, moment: float, period: int = 30) -> str:
    """The six digits that an app with this base32 secret shows at a moment (seconds since 1970)."""
    digest = hmac.digest(base64.b32decode(secret), int(moment // period).to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
