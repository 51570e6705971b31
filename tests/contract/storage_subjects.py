"""The storage clusters that the contract suite runs on, and what is done to them past the driver."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from infrastructure.drivers.errors import Unreachable
from storage.drivers import fake, matching, registry
from storage.drivers.base import StorageCluster
from storage.drivers.ceph_keeping import Keeping
from storage.drivers.facts import ClusterFacts, PoolFacts
from tests import instances
from tests.contract.lab_nodes import ROOT
from tests.e2e.lab import Lab
from tests.lab import ceph
from tests.waiting import eventually

PREFIX = "mooring-contract-"
MARKS = {"mooring": "contract"}


class Subject(Protocol):
    """A cluster under test."""

    cluster: StorageCluster

    def make_image(self, pool: str, name: str) -> None: ...

    def trash_image(self, pool: str, name: str) -> None: ...

    def make_foreign_pool(self, name: str) -> None:
        """A pool made by hand: no marks."""

    def interrupted(self) -> AbstractContextManager[None]:
        """Pools are made, but the call dies before they are marked."""

    def clear(self) -> None:
        """Remove what the test made, whoever made it."""


def pool_of(facts: ClusterFacts | StorageCluster, name: str) -> PoolFacts:
    pools = facts.pools if isinstance(facts, ClusterFacts) else facts.pools()
    return next(pool for pool in pools if pool.name == name)


class FakeSubject:
    def __init__(self) -> None:
        self._fake = fake.cluster()
        self.cluster: StorageCluster = self._fake

    def make_image(self, pool: str, name: str) -> None:
        self._fake.images_by_pool[pool].append(name)

    def trash_image(self, pool: str, name: str) -> None:
        self._fake.images_by_pool[pool].remove(name)
        self._fake.images_by_pool[pool].append(f"trash/{name}")

    def make_foreign_pool(self, name: str) -> None:
        self._fake.add_pool(name)

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        self._fake.fail_next("finish_pool", Unreachable("cut", component="ceph"))
        yield

    def clear(self) -> None:
        return


class LabSubject:
    """The lab's Ceph, asked as a user with the panel's capabilities."""

    def __init__(self, lab: Lab, cluster: StorageCluster) -> None:
        self._lab = lab
        self.cluster = cluster

    def make_image(self, pool: str, name: str) -> None:
        ceph.rbd(self._lab, "create", f"{pool}/{name}", "--size", "8M")

    def trash_image(self, pool: str, name: str) -> None:
        ceph.rbd(self._lab, "trash", "move", f"{pool}/{name}")

    def make_foreign_pool(self, name: str) -> None:
        ceph.ceph(self._lab, "osd", "pool", "create", name, "8")
        ceph.ceph(self._lab, "osd", "pool", "application", "enable", name, "rbd")

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        def die(*_words: object) -> None:
            raise Unreachable("cut", component="ceph")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Keeping, "_finish", die)
            yield

    def clear(self) -> None:
        for pool in self.cluster.pools():
            if pool.name.startswith(PREFIX) and not matching.carries(pool, MARKS):
                ceph.ceph(self._lab, "osd", "pool", "delete", pool.name, pool.name, "--yes-i-really-really-mean-it")
            elif pool.name.startswith(PREFIX):
                self.cluster.remove_pool(pool.name, marks=MARKS)
        for rule in self.cluster.rules():
            if rule.name.startswith(PREFIX):
                self.cluster.remove_rule(rule.name)
        for profile in self.cluster.profiles():
            if profile.name.startswith(PREFIX):
                self.cluster.remove_profile(profile.name)


@pytest.fixture(scope="session")
def lab_storage() -> Iterator[tuple[Lab, StorageCluster]]:
    """The lab's Ceph, up, and the driver as a user with the panel's capabilities."""
    lab = Lab(ROOT, instances.LAB)
    lab.run("up")
    cluster = registry.cluster_for(ceph.access(lab))
    eventually(lambda: cluster.look().manager_answers)
    try:
        yield lab, cluster
    finally:
        registry.drop_all()


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.lab)])
def storage_subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made: Subject
    made = FakeSubject() if request.param == "fake" else LabSubject(*request.getfixturevalue("lab_storage"))
    yield made
    made.clear()


@pytest.fixture
def storage(storage_subject: Subject) -> StorageCluster:
    return storage_subject.cluster
