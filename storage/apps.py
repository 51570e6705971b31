"""Application configuration."""

from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "storage"

    def ready(self) -> None:
        from panel.ui import objects
        from storage.search import register_sources

        register_sources()
        objects.register("cluster", route="storage:overview", icon="database", word="Storage cluster", single=True)
        objects.register("disk", route="storage:disks", icon="disc", word="Disk", single=True)
        objects.register("datastore", route="storage:datastore", icon="stack-2", word="Datastore")
