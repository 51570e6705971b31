"""Application configuration."""

from django.apps import AppConfig

from tests.chaos.load import clock


class LoadConfig(AppConfig):
    name = "tests.chaos.load"

    def ready(self) -> None:
        from django.conf import settings

        clock.follow(settings.VAR / "clock")
