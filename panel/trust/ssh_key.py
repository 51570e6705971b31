"""The panel's SSH key: what an administrator puts into a node's authorized_keys."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from panel.trust.errors import TrustError
from panel.trust.files import write_private


def ensure_ssh_key() -> None:
    """Make the key pair once; the public half is made again when it went missing."""
    path: Path = settings.SSH_KEY_PATH
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        write_private(
            path,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ),
        )
        _public_path().unlink(missing_ok=True)
    if not _public_path().exists():
        loaded = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        line = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        write_private(_public_path(), line + f" mooring-{settings.INSTANCE}\n".encode())


def public_line() -> str:
    """The public key as one line for authorized_keys. TrustError before `manage.py prepare`."""
    try:
        return _public_path().read_text().strip()
    except FileNotFoundError as error:
        raise TrustError(f"{error.filename} is missing. Run `manage.py prepare` (bin/up does).") from error


def _public_path() -> Path:
    return settings.SSH_KEY_PATH.with_name(settings.SSH_KEY_PATH.name + ".pub")
