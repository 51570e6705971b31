"""Application configuration."""

from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "panel.live"
    label = "live"
