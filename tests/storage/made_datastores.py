"""Datastores that the only user of a test asks for, and what is left of them in the cluster in memory."""

from panel.accounts.models import User
from storage.drivers.fake import FakeCluster
from storage.models import Cluster, Datastore
from storage.services import datastores
from tasks.models import Task
from tests.infrastructure.fake_nodes import run


def create(
    row: Cluster, name: str = "fast", mode: str = "r2", domain: str = "host", *, use: str = "vm"
) -> tuple[Datastore, Task]:
    """Ask for one in tier 2; its task has not run."""
    user = User.objects.get()
    return datastores.create(user=user, cluster=row, name=name, use=use, tier=2, mode=mode, domain=domain)


def created(row: Cluster, name: str = "fast", mode: str = "r2", domain: str = "host", *, use: str = "vm") -> Datastore:
    datastore, task = create(row, name, mode, domain, use=use)
    assert (run(task).state, task.reason) == ("completed", "")
    datastore.refresh_from_db()
    return datastore


def remove(datastore: Datastore) -> Task:
    """The removal's task, which has run."""
    return run(datastores.remove(user=User.objects.get(), datastore=datastore, confirmation=datastore.name))


def nothing_left(made: FakeCluster) -> bool:
    rest = made.pools_by_name or made.profiles_by_name or made.files or made.directories
    return not rest and set(made.rules_by_name) == {"replicated_rule"}
