"""`manage.py prepare`: everything the panel needs before it can start. Safe to run again; prints no secret."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from panel.trust import ca, encryption, ssh_key
from panel.trust.files import private_folder, write_private

FIRST_USER = "admin"
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that looks like something else


class Command(BaseCommand):
    help = "Make keys and certificates, bring the database up to date, make the first administrator."
    requires_system_checks: list[str] = []  # one of them demands the secret key that is made here

    def handle(self, *args: Any, **options: Any) -> None:
        for folder in (settings.VAR, settings.KEYS_DIR, settings.RRD_DIR, settings.RUN_DIR, settings.LOG_DIR):
            private_folder(folder)
        secret_key = settings.KEYS_DIR / "secret_key"
        if not secret_key.exists():
            write_private(secret_key, secrets.token_urlsafe(64).encode())
        encryption.ensure_key()
        ca.ensure_panel_certificate()
        ca.ensure_web_certificate([host for host in settings.ALLOWED_HOSTS if not host.startswith((".", "*"))])
        ssh_key.ensure_ssh_key()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        made = _first_administrator()
        self.stdout.write(f"Keys, certificates and database are ready in {settings.VAR}.")
        if made:
            self.stdout.write(f"The first administrator is {FIRST_USER}; its password is in keys/initial_password.")


@transaction.atomic
def _first_administrator() -> bool:
    """Make `admin` when there is no user yet. The password is written first: a crash leaves no unknown one."""
    users = get_user_model()
    if users.objects.exists():
        return False
    password = "".join(secrets.choice(_ALPHABET) for _ in range(20))
    write_private(settings.KEYS_DIR / "initial_password", password.encode())
    user = users.objects.create_user(FIRST_USER, password=password, must_change_password=True)
    user.role_bindings.create(role="administrator")  # by name: this app lies below the accounts
    return True
