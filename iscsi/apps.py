"""Application configuration."""

from django.apps import AppConfig


class IscsiConfig(AppConfig):
    name = "iscsi"
    verbose_name = "iSCSI"

    def ready(self) -> None:
        from infrastructure.services import letting_go
        from iscsi.search import register_sources
        from iscsi.services.held_nodes import holding
        from panel.ui import objects

        letting_go.hold(holding, "Move them to another node or delete them first, under iSCSI.")
        objects.register("target", route="iscsi:target", icon="target", word="Target")
        objects.register("lun", route="iscsi:lun", icon="database", word="LUN")
        objects.register("chapuser", route="iscsi:users", icon="key", word="CHAP user", single=True)
        register_sources()
