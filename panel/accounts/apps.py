"""Accounts: who may do what."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "panel.accounts"
    label = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from panel.accounts import checks, signals  # noqa: F401
