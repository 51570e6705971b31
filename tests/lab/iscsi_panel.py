"""The lab with nodes that may serve targets, and targets and LUNs made by the panel's own jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.models import Node, NodeInterfaces
from infrastructure.observe import interfaces
from infrastructure.services import endpoints
from iscsi.models import Lun, Target
from iscsi.services import luns, roles, targets
from iscsi.services.portals import Wish
from tasks.models import Task
from tests.lab.onboarded import completed
from tests.lab.storage_panel import StoragePanel

SERVING = ("primary", "secondnode1")


class IscsiPanel:
    """Targets on nodes of the lab; each gets the next address of the lab's network that nobody has."""

    def __init__(self, storage: StoragePanel) -> None:
        self.storage = storage
        self.nodes = storage.nodes
        self.lab = storage.lab
        self._last = 40

    def free_address(self) -> str:
        """An address on no machine of the lab: "172.30.1.41"."""
        self._last += 1
        return f"{self.lab.node('primary').address.rpartition('.')[0]}.{self._last}"

    def ask_target(self, name: str, node: str = "secondnode1", **more: Any) -> tuple[Target, Task]:
        wishes = [Wish(f"{self.free_address()}/24", "")]
        return targets.create(user=self.nodes.admin, name=name, node=self.nodes.node(node), wishes=wishes, **more)

    def target(self, name: str, node: str = "secondnode1", **more: Any) -> Target:
        """A target that runs."""
        target, task = self.ask_target(name, node, **more)
        completed(self.nodes.run(task))
        return Target.objects.select_related("node").get(pk=target.pk)

    def lun(self, target: Target, number: int = 1, **more: Any) -> Lun:
        """A LUN of 1 GiB in two copies that is served."""
        usual: dict[str, Any] = {"size_gib": 1, "tier": 2, "mode": "r2", "domain": "host"}
        lun, task = luns.add(user=self.nodes.admin, target=target, number=number, **{**usual, **more})
        completed(self.nodes.run(task))
        return Lun.objects.select_related("target__node", "datastore__cluster").get(pk=lun.pk)

    def delete(self, target: Target) -> None:
        """Delete a target and the data of its LUNs."""
        for lun in target.luns.all():
            completed(
                self.nodes.run(luns.delete(user=self.nodes.admin, lun=lun, confirmation=luns.words_of(lun))),
            )
        completed(self.nodes.run(targets.delete(user=self.nodes.admin, target=target, confirmation=target.name)))

    def remove_all(self) -> None:
        for lun in Lun.objects.filter(target=None):
            completed(self.nodes.run(luns.delete(user=self.nodes.admin, lun=lun, confirmation=luns.words_of(lun))))
        for target in Target.objects.all():
            self.delete(target)


def portal(target: Target) -> str:
    """Where it is reached: "172.30.1.41:3260"."""
    return f"{target.portals.get().address}:3260"


def url(target: Target, number: int = 1) -> str:
    """What QEMU and libiscsi call a LUN."""
    return f"iscsi://{portal(target)}/{target.iqn}/{number}"


def _look_at_interfaces(node: Node) -> None:
    """What the collector does every few seconds."""
    found, _ = interfaces.read(endpoints.driver(node))
    NodeInterfaces.objects.create(node=node, interfaces=[asdict(each) for each in found], observed_at=timezone.now())


@contextmanager
def serving(storage: StoragePanel) -> Iterator[IscsiPanel]:
    """Two nodes with the role iSCSI; afterwards they have nothing of it."""
    made = IscsiPanel(storage)
    for name in SERVING:
        _look_at_interfaces(made.nodes.node(name))
        completed(made.nodes.run(roles.assign(user=made.nodes.admin, node=made.nodes.node(name))))
    yield made
    made.remove_all()
    for name in SERVING:
        completed(made.nodes.run(roles.withdraw(user=made.nodes.admin, node=made.nodes.node(name))))


@pytest.fixture
def iscsi_panel(storage_panel: StoragePanel) -> Iterator[IscsiPanel]:
    with serving(storage_panel) as made:
        yield made
