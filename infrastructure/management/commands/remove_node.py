"""`manage.py remove_node`: what Remove node does."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from infrastructure.management.task_command import TaskCommand
from infrastructure.models import Node
from infrastructure.services import nodes
from panel.accounts.models import User
from tasks.models import Task


class Command(TaskCommand):
    help = "Take Mooring's settings off a node and forget it; its Virtual Environments run on."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True)

    def ask(self, user: User, options: dict[str, Any]) -> Task | None:
        node = Node.objects.filter(name=options["name"]).first()
        if node is None:
            raise CommandError(f"There is no node named {options['name']!r}.")
        return nodes.remove(user=user, node=node)
