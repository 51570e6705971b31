"""Users: the pages of accounts, one's own and those of others."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "panel.users"
    label = "users"
    verbose_name = "Users"

    def ready(self) -> None:
        from panel.ui import objects

        objects.register("user", route="users:user", icon="user-circle", word="User")
