"""The lab's cluster connected and used by the panel's own jobs, and VMs whose disks lie on a datastore."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import NAMESPACE_DNS, uuid5

import pytest
from lxml import etree

from storage.choices import Use
from storage.drivers import registry as storage_registry
from storage.models import Cluster, Datastore
from storage.services import attachments, clusters, datastores
from tests.e2e.disk_writer import DiskWriter
from tests.lab.ceph import rbd
from tests.lab.onboarded import OnboardedLab, completed


class StoragePanel:
    """The lab with its nodes and its cluster in the panel."""

    def __init__(self, nodes: OnboardedLab, cluster: Cluster) -> None:
        self.nodes = nodes
        self.lab = nodes.lab
        self.cluster = cluster

    def create(
        self, name: str, *, use: str = Use.VM, tier: int = 2, mode: str = "r2", domain: str = "host"
    ) -> Datastore:
        """A datastore, made by its task and attached to the nodes."""
        cluster = Cluster.objects.get(pk=self.cluster.pk)
        datastore, task = datastores.create(
            user=self.nodes.admin, cluster=cluster, name=name, use=use, tier=tier, mode=mode, domain=domain
        )
        completed(self.nodes.run(task))
        return Datastore.objects.select_related("cluster").get(pk=datastore.pk)

    def remove(self, datastore: Datastore) -> None:
        completed(
            self.nodes.run(datastores.remove(user=self.nodes.admin, datastore=datastore, confirmation=datastore.name))
        )

    @contextmanager
    def vm(self, name: str, node: str, datastore: Datastore, *, mib: int = 64) -> Iterator[DiskWriter]:
        """A small VM that runs on the node with its one disk on the datastore; gone afterwards."""
        image = f"{datastore.pool}/{name}"
        like = self.lab.virsh(self._home("vm2"), "dumpxml", "vm2")
        xml = _definition(like, name, attachments.pool_of(datastore), image)
        try:
            rbd(self.lab, "create", "--size", f"{mib}M", image)
            self.lab.exec(node, "sh", "-c", f"cat >/tmp/{name}.xml <<'END'\n{xml}\nEND\nvirsh define /tmp/{name}.xml")
            self.lab.virsh(node, "start", name)
            self.nodes.refresh()
            yield DiskWriter(self.lab, node, name, mib=mib)
        finally:
            for where in ("primary", "secondnode1", "secondnode2"):
                for words in (("destroy", name), ("undefine", name)):
                    with suppress(AssertionError):
                        self.lab.virsh(where, *words)
            rbd(self.lab, "rm", "--no-progress", image)

    def _home(self, name: str) -> str:
        """The node that has the VE, running or not: other tests move them."""
        return next(node.name for node in self.lab.nodes if name in self.lab.states(node.name))


def _definition(xml: str, name: str, pool: "attachments.RbdPool", image: str) -> str:
    """vm2's definition with another identity and its disk on the datastore."""
    root = etree.fromstring(xml)
    uuid = uuid5(NAMESPACE_DNS, f"{pool.uuid} {name}")
    for path, text in (("name", name), ("uuid", str(uuid))):
        found = root.find(path)
        assert found is not None
        found.text = text
    mac = root.find("devices/interface/mac")
    assert mac is not None
    dice = random.Random(str(uuid))
    mac.set("address", ":".join(["52:54:00", *(f"{dice.randrange(256):02x}" for _ in range(3))]))
    disk = root.find("devices/disk")
    assert disk is not None
    disk.set("type", "network")
    for child in list(disk):
        if child.tag not in ("target",):
            disk.remove(child)
    etree.SubElement(disk, "driver", name="qemu", type="raw", cache="writeback")
    auth = etree.SubElement(disk, "auth", username=pool.user)
    etree.SubElement(auth, "secret", type="ceph", uuid=pool.secret)
    source = etree.SubElement(disk, "source", protocol="rbd", name=image)
    for monitor in pool.monitors:
        address, _, port = monitor.rpartition(":")
        etree.SubElement(source, "host", name=address, port=port)
    return etree.tostring(root, encoding="unicode")


@contextmanager
def connected(nodes: OnboardedLab) -> Iterator[StoragePanel]:
    """The cluster of a lab, connected through its node primary, which is set up."""
    cluster, task = clusters.connect(user=nodes.admin, name="storage1", through=nodes.node("primary"))
    completed(nodes.run(task))
    yield StoragePanel(nodes, cluster)
    storage_registry.drop_all()


@pytest.fixture
def storage_panel(onboarded_lab: OnboardedLab) -> Iterator[StoragePanel]:
    """The lab with its nodes set up and its cluster connected."""
    with connected(onboarded_lab) as made:
        yield made
