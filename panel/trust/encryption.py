"""Secrets at rest: encrypted in the database with a key that lies outside it."""

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from panel.trust.errors import TrustError
from panel.trust.files import write_private


def ensure_key() -> None:
    """Make the key once. Without it, what was encrypted is lost, so it is never replaced."""
    path = settings.KEYS_DIR / "fernet_key"
    if not path.exists():
        write_private(path, Fernet.generate_key())


def encrypt(secret: str) -> str:
    """The secret as text that is safe to store."""
    return _fernet().encrypt(secret.encode()).decode()


def decrypt(stored: str) -> str:
    """The secret again. TrustError when it was encrypted with another key or changed since."""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise TrustError(
            "A stored secret cannot be decrypted: it was stored with another key. Enter it again."
        ) from error


def _fernet() -> Fernet:
    path = settings.KEYS_DIR / "fernet_key"
    try:
        return Fernet(path.read_bytes())
    except FileNotFoundError as error:
        raise TrustError(f"{path} is missing. Restore it from a backup, or run `manage.py prepare`.") from error
    except ValueError as error:
        raise TrustError(f"{path} is damaged. Restore it from a backup.") from error
