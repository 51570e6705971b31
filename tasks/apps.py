"""Application configuration."""

from importlib import import_module

from django.apps import AppConfig

from panel.ui import objects


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        # Every process that enqueues must send over the panel's Celery application, not over Celery's default one.
        # By name: this app lies below the one that makes it.
        import_module("panel.celery")
        from tasks import scopes
        from tasks.search import register_sources

        scopes.register()
        register_sources()
        objects.register("task", route="tasks:detail", icon="list-details", word="Task")
