"""Application configuration."""

from django.apps import AppConfig


class InfrastructureConfig(AppConfig):
    name = "infrastructure"

    def ready(self) -> None:
        from panel.ui import objects

        objects.register("node", route="infrastructure:node", icon="server-2", word="Node")
        objects.register("ve", route="infrastructure:ve", icon="device-desktop", word="VE")
