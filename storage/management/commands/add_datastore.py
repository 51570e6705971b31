"""`bin/manage add_datastore`: what the form Add datastore does."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from infrastructure.management.task_command import TaskCommand
from panel.accounts.models import User
from storage.choices import DatastoreState, Use
from storage.drivers.facts import DOMAINS, TIERS
from storage.models import Cluster, Datastore
from storage.redundancy import MODES
from storage.services import datastores
from tasks.models import Task


class Command(TaskCommand):
    help = "Add a datastore and attach it to all nodes. One of that name that is there is left as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True, help="how it is called here, such as fast")
        parser.add_argument("--use", choices=datastores.USES, default=Use.VM, help="what it holds (default: VM disks)")
        parser.add_argument("--tier", type=int, choices=TIERS, required=True)
        parser.add_argument(
            "--mode", choices=tuple(MODES), required=True, help="such as r2 for 2 replicas, ec3-2 for encoding 3+2"
        )
        parser.add_argument(
            "--domain", choices=DOMAINS, required=True, help="what may be lost: osd is a disk, host a node"
        )

    def ask(self, user: User, options: dict[str, Any]) -> Task | None:
        cluster = Cluster.objects.filter(connected_at__isnull=False).first()
        if cluster is None:
            raise CommandError("No storage cluster is connected. Connect one first: bin/manage add_cluster.")
        known = Datastore.objects.filter(name=options["name"], state=DatastoreState.READY).first()
        if known is not None:
            self.stdout.write(f"{known} is there already: {datastores.policy_of(known)}.")
            return None
        wanted = {key: options[key] for key in ("name", "use", "tier", "mode", "domain")}
        return datastores.create(user=user, cluster=cluster, **wanted)[1]
