"""Two nodes in memory with target servers, a storage cluster in memory, and what tests ask of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from infrastructure.choices import NodeState
from infrastructure.models import Node, NodeInterfaces
from iscsi.choices import RoleState
from iscsi.drivers import registry
from iscsi.drivers.facts import AddressFacts
from iscsi.drivers.fake import FakeServers
from iscsi.models import IscsiNode, Lun, Target
from iscsi.services import luns, targets
from iscsi.services.portals import Wish
from panel.trust.encryption import encrypt
from storage.drivers.fake import FakeCluster
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.infrastructure.inventory_facts import make_node
from tests.storage.fake_clusters import Driven, driven

OWN = {"primary": "192.0.2.11", "secondnode1": "192.0.2.12"}
IQN = "iqn.2014-06.com.vstorage:target1"
SECRET = "a-secret-phrase"


@dataclass
class World:
    """`servers`: the node's name → its target servers; `storage`: the cluster's row and the fake that answers."""

    storage: Driven
    nodes: dict[str, Node]
    servers: dict[str, FakeServers] = field(default_factory=dict)

    @property
    def ceph(self) -> FakeCluster:
        return self.storage.fake

    def ask_target(self, name: str = "target1", node: str = "primary", **more: Any) -> tuple[Target, Task]:
        """Ask for a target at an address that Mooring adds; its task has not run."""
        number = 100 + Target.objects.count()
        wishes = more.pop("wishes", [Wish(f"192.0.2.{number}/24", "br0")])
        return targets.create(user=None, name=name, node=self.nodes[node], wishes=wishes, **more)

    def target(self, name: str = "target1", node: str = "primary", **more: Any) -> Target:
        """A target that runs."""
        target, task = self.ask_target(name, node, **more)
        assert (run(task).state, task.reason) == ("completed", "")
        target.refresh_from_db()
        return target

    def ask_lun(self, target: Target, number: int = 1, **more: Any) -> tuple[Lun, Task]:
        """Ask for a LUN of 1 GiB in two copies; its task has not run."""
        usual = {"size_gib": 1, "tier": 2, "mode": "r2", "domain": "host", "user": None}
        return luns.add(target=target, number=number, **{**usual, **more})

    def lun(self, target: Target, number: int = 1, **more: Any) -> Lun:
        """A LUN that is served."""
        lun, task = self.ask_lun(target, number, **more)
        assert (run(task).state, task.reason) == ("completed", "")
        return Lun.objects.get(pk=lun.pk)

    def shown(self, target: Target) -> dict[int, str]:
        """LUN → image, as the target's server has it."""
        kept = self.servers[Target.objects.get(pk=target.pk).node.name].kept[target.number]
        return {} if kept.target is None else {number: spec.image for number, spec in kept.target.luns.items()}

    def addresses(self, node: str) -> set[str]:
        """Addresses of the node that it did not have at first."""
        return {each.address for each in self.servers[node].known} - {OWN[node]}

    def nothing_left(self) -> bool:
        """Whether neither node nor cluster has anything that Mooring made for iSCSI."""
        on_nodes = any(each.kept or self.addresses(name) for name, each in self.servers.items())
        ceph = self.ceph
        there = ceph.pools_by_name or ceph.profiles_by_name or set(ceph.rules_by_name) != {"replicated_rule"}
        return not on_nodes and not there and not any(ceph.images_by_pool.values())


@contextmanager
def world() -> Iterator[World]:
    """primary and secondnode1 with the role iSCSI, each with an address on br0."""
    with ExitStack() as stack:
        made = World(stack.enter_context(driven()), {})
        made.storage.row.iscsi_key = encrypt("a key")
        made.storage.row.connected_at = timezone.now()
        made.storage.row.save()
        for name, own in OWN.items():
            node = make_node(name)
            Node.objects.filter(pk=node.pk).update(onboarded_at=timezone.now(), state=NodeState.ONLINE)
            node.refresh_from_db()
            made.nodes[name] = node
            shown = [{"name": "br0", "kind": "bridge", "state": "up", "addresses": [f"{own}/24", "fe80::1/64"]}]
            NodeInterfaces.objects.create(node=node, interfaces=shown, observed_at=timezone.now())
            IscsiNode.objects.create(node=node, state=RoleState.READY)
            servers = made.servers[name] = FakeServers()
            servers.images = made.ceph.sizes  # a server can open what the cluster has
            servers.known = [AddressFacts(own, 24, "br0")]
            stack.enter_context(registry.replaced(name, servers))
        yield made
