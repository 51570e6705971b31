"""`bin/manage add_cluster`: what the form Connect a cluster does."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from infrastructure.management.task_command import TaskCommand
from infrastructure.models import Node
from panel.accounts.models import User
from storage.choices import ClusterState
from storage.models import Cluster
from storage.services import clusters
from tasks.models import Task


class Command(TaskCommand):
    help = "Connect the storage cluster through a node of it. One that is connected and answers is left as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True, help="how it is called here, such as storage1")
        parser.add_argument("--through", required=True, help="a node with the key of Ceph's administrator in /etc/ceph")

    def ask(self, user: User, options: dict[str, Any]) -> Task | None:
        node = Node.objects.filter(name=options["through"]).first()
        if node is None:
            raise CommandError(f"There is no node named {options['through']!r}.")
        known = Cluster.objects.filter(name=options["name"], connected_at__isnull=False).first()
        if known is None:
            return clusters.connect(user=user, name=options["name"], through=node)[1]
        if known.state != ClusterState.ONLINE:
            return clusters.reconnect(user=user, cluster=known, through=node)
        self.stdout.write(f"{known} is connected already.")
        return None
