"""`bin/manage add_node`: what the Add node form does."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from infrastructure.drivers.ssh import host_key
from infrastructure.management.task_command import TaskCommand
from infrastructure.models import Node
from infrastructure.services import nodes
from panel.accounts.models import User
from tasks.models import Task


class Command(TaskCommand):
    help = "Add a node and set it up. A node of that name and address that is set up already is left as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True, help="how it is called here, such as primary")
        parser.add_argument("--address", required=True, help="IP address or host name")
        parser.add_argument("--ssh-port", type=int, default=22)
        parser.add_argument(
            "--fingerprint",
            required=True,
            help="of its SSH host key, as `ssh-keygen -lf` prints it on the node: SHA256:…",
        )

    def ask(self, user: User, options: dict[str, Any]) -> Task | None:
        name, address = options["name"], options["address"]
        known = Node.objects.filter(name=name, address=address).first()
        if known is not None and known.host_key and host_key(known.host_key).fingerprint != options["fingerprint"]:
            raise CommandError(
                f"{name} is known with another host key, {host_key(known.host_key).fingerprint}. If it was installed "
                f"anew, take the former one out first: bin/manage remove_node --name {name} --wait."
            )
        if known is not None and known.onboarded_at is not None:
            self.stdout.write(f"{name} is set up already.")
            return None
        if known is not None:
            return nodes.onboard(user=user, node=known)
        _node, task = nodes.add(
            user=user, name=name, address=address, ssh_port=options["ssh_port"], fingerprint=options["fingerprint"]
        )
        return task
