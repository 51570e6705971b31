"""A storage cluster's row whose driver is the fake, and running tasks against it here and now."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from panel.trust.encryption import encrypt
from storage.drivers import fake, registry
from storage.drivers.fake import FakeCluster
from storage.models import Cluster
from storage.services import observed
from tests.storage.samples import make_cluster


@dataclass
class Driven:
    """The row, and the fake that answers for it."""

    row: Cluster
    fake: FakeCluster

    def observe(self) -> None:
        """What the collector does every few seconds."""
        observed.record(self.row, self.fake.look())
        self.row.refresh_from_db()


@contextmanager
def driven(made: FakeCluster | None = None, name: str = "storage1") -> Iterator[Driven]:
    """A connected cluster; by default three hosts with seven disks each, all of tier 2."""
    made = made or fake.cluster(hosts=3, disks=7, tiers=(2,))
    keys = {"key": encrypt("a key"), "node_key": encrypt("YSBrZXk="), "files_key": encrypt("YSBrZXk=")}
    row = make_cluster(name, made.look(), **keys)
    with registry.replaced(name, made):
        yield Driven(row, made)
