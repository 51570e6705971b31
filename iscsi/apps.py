"""Application configuration."""

from django.apps import AppConfig


class IscsiConfig(AppConfig):
    name = "iscsi"
    verbose_name = "iSCSI"
