"""Application configuration."""

from django.apps import AppConfig


class PreferencesConfig(AppConfig):
    name = "panel.preferences"
    label = "preferences"
