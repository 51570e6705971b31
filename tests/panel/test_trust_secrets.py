"""Secrets at rest, the SSH key, and `manage.py prepare`."""

import stat
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from django.core.management import call_command

from panel.accounts.models import User
from panel.accounts.permissions import can
from panel.trust import encryption, ssh_key
from panel.trust.errors import TrustError


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> Path:
    settings.VAR = tmp_path
    settings.KEYS_DIR = tmp_path / "keys"
    settings.PKI_DIR = settings.KEYS_DIR / "pki"
    settings.SSH_KEY_PATH = settings.KEYS_DIR / "ssh" / "id_ed25519"
    settings.RRD_DIR, settings.RUN_DIR, settings.LOG_DIR = (tmp_path / name for name in ("rrd", "run", "log"))
    return settings.KEYS_DIR


def test_a_secret_comes_back_and_is_not_stored_in_the_clear() -> None:
    encryption.ensure_key()
    stored = encryption.encrypt("chap-secret-123")
    assert "chap" not in stored
    assert encryption.decrypt(stored) == "chap-secret-123"


def test_a_secret_stored_with_another_key_is_refused_in_words(keys: Path) -> None:
    encryption.ensure_key()
    stored = encryption.encrypt("chap-secret-123")
    (keys / "fernet_key").unlink()
    encryption.ensure_key()
    with pytest.raises(TrustError, match="Enter it again"):
        encryption.decrypt(stored)


def test_the_key_is_never_replaced(keys: Path) -> None:
    encryption.ensure_key()
    before = (keys / "fernet_key").read_bytes()
    encryption.ensure_key()
    assert (keys / "fernet_key").read_bytes() == before


def test_without_a_key_the_next_step_is_told() -> None:
    with pytest.raises(TrustError, match=r"manage\.py prepare"):
        encryption.encrypt("x")
    with pytest.raises(TrustError, match=r"manage\.py prepare"):
        ssh_key.public_line()


def test_the_ssh_key_is_a_pair_that_asyncssh_reads(settings: Any) -> None:
    ssh_key.ensure_ssh_key()
    private = asyncssh.read_private_key(str(settings.SSH_KEY_PATH))
    public = asyncssh.import_public_key(ssh_key.public_line())
    assert private.get_fingerprint() == public.get_fingerprint()
    assert "\n" not in ssh_key.public_line()
    assert stat.S_IMODE(settings.SSH_KEY_PATH.stat().st_mode) == 0o600


def test_a_lost_public_half_is_made_again_from_the_private_one(settings: Any) -> None:
    ssh_key.ensure_ssh_key()
    line = ssh_key.public_line()
    settings.SSH_KEY_PATH.with_name("id_ed25519.pub").unlink()
    ssh_key.ensure_ssh_key()
    assert ssh_key.public_line() == line


@pytest.mark.django_db
def test_prepare_makes_the_first_administrator_once_and_prints_no_secret(keys: Path, capsys: Any) -> None:
    call_command("prepare")
    password = (keys / "initial_password").read_text()
    user = User.objects.get()
    assert user.username == "admin" and user.check_password(password) and len(password) == 20
    assert can(user, "node.manage")
    before = {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()}
    call_command("prepare")
    assert {path: path.read_bytes() for path in keys.rglob("*") if path.is_file()} == before
    assert User.objects.count() == 1
    said = capsys.readouterr().out
    for path in ("initial_password", "secret_key", "fernet_key"):
        assert (keys / path).read_text().strip() not in said


@pytest.mark.django_db
def test_prepare_makes_no_second_administrator_where_users_exist(keys: Path, administrator: User) -> None:
    call_command("prepare")
    assert not (keys / "initial_password").exists()
    assert User.objects.count() == 1
