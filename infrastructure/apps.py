"""Application configuration."""

from django.apps import AppConfig


class InfrastructureConfig(AppConfig):
    name = "infrastructure"

    def ready(self) -> None:
        from django.db.models.signals import post_save

        from infrastructure import scopes
        from infrastructure.models import VE
        from infrastructure.search import register_sources
        from infrastructure.services import certificate_health
        from infrastructure.services.words import on_save
        from panel.health import machine
        from panel.ui import objects

        objects.register("node", route="infrastructure:node", icon="server-2", word="Node")
        objects.register("ve", route="infrastructure:ve", icon="device-desktop", word="VE")
        objects.register("selection", route="infrastructure:ves", icon="stack-2", word="Selection")
        scopes.register()
        machine.register(certificate_health.part)
        register_sources()
        post_save.connect(on_save, sender=VE, dispatch_uid="infrastructure.words")
