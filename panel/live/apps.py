"""Application configuration."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class LiveConfig(AppConfig):
    name = "panel.live"
    label = "live"
    verbose_name = "Live socket"

    def ready(self) -> None:
        autodiscover_modules("topics")
