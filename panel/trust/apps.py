"""Application configuration."""

from django.apps import AppConfig


class TrustConfig(AppConfig):
    name = "panel.trust"
    label = "trust"
