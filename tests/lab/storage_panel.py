"""The lab's cluster connected and used by the panel's own jobs, and VMs whose disks lie on a datastore."""

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import NAMESPACE_DNS, uuid5

import pytest
from lxml import etree

from storage.choices import Use
from storage.drivers import registry as storage_registry
from storage.models import Cluster, Datastore
from storage.services import attachments, clusters, datastores
from tests.lab.ceph import rbd
from tests.lab.onboarded import OnboardedLab, completed

BLOCK = 64 << 10
# Writes block after block, each the hash of its number repeated, and says in /tmp/written how many are on the disk.
_WRITER = """
( i=0
  while [ $i -lt {blocks} ] && [ ! -e /tmp/enough ]; do
    h=$(printf %s "$(printf 'block %s' $i | sha256sum | cut -c1-64)")
    yes "$h" | head -c {size} | dd of=/dev/vda bs={size} seek=$i conv=notrunc,fsync 2>/dev/null ||
      {{ echo $i >/tmp/broken; break; }}
    i=$((i+1)); echo $i >/tmp/written
  done; echo $i >/tmp/ended ) >/dev/null 2>&1 &
"""


def content(number: int) -> bytes:
    """What the writer puts into a block."""
    line = hashlib.sha256(f"block {number}".encode()).hexdigest().encode() + b"\n"
    return (line * (BLOCK // len(line) + 1))[:BLOCK]


def digest(blocks: int) -> str:
    """SHA-256 of the first blocks of a written disk."""
    found = hashlib.sha256()
    for number in range(blocks):
        found.update(content(number))
    return found.hexdigest()


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
    def vm(self, name: str, node: str, datastore: Datastore, *, mib: int = 64) -> Iterator["DiskWriter"]:
        """A small VM that runs on the node with its one disk on the datastore; gone afterwards."""
        image = f"{datastore.pool}/{name}"
        like = self.lab.virsh(self._home("vm2"), "dumpxml", "vm2")
        xml = _definition(like, name, attachments.pool_of(datastore), image)
        try:
            rbd(self.lab, "create", "--size", f"{mib}M", image)
            self.lab.exec(node, "sh", "-c", f"cat >/tmp/{name}.xml <<'END'\n{xml}\nEND\nvirsh define /tmp/{name}.xml")
            self.lab.virsh(node, "start", name)
            self.nodes.refresh()
            yield DiskWriter(self, node, name, mib * (1 << 20) // BLOCK)
        finally:
            for where in ("primary", "secondnode1", "secondnode2"):
                for words in (("destroy", name), ("undefine", name)):
                    with suppress(AssertionError):
                        self.lab.virsh(where, *words)
            rbd(self.lab, "rm", "--no-progress", image)

    def _home(self, name: str) -> str:
        """The node that has the VE, running or not: other tests move them."""
        return next(node.name for node in self.lab.nodes if name in self.lab.states(node.name))


class DiskWriter:
    """A VM whose disk is written to from inside."""

    def __init__(self, panel: StoragePanel, node: str, name: str, blocks: int) -> None:
        self._seen = node
        self.panel = panel
        self.name = name
        self.blocks = blocks

    @property
    def node(self) -> str:
        """The node that runs it: the one where it was seen last, unless it moved."""
        names = [self._seen, *(node.name for node in self.panel.lab.nodes if node.pid and node.name != self._seen)]
        self._seen = next(name for name in names if self.panel.lab.states(name).get(self.name) == "running")
        return self._seen

    def run(self, script: str, timeout: float = 60) -> str:
        return self.panel.lab.in_guest(self.node, self.name, script, timeout).strip()

    def wait_for_agent(self, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                self.run("true")
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(1)
            else:
                return

    def begin(self) -> None:
        """Write from the first block on until told to stop, or the disk is full."""
        self.run(_WRITER.format(blocks=self.blocks, size=BLOCK))

    def written(self) -> int:
        return int(self.run("cat /tmp/written 2>/dev/null || echo 0"))

    def until_written(self, blocks: int, seconds: float = 120) -> int:
        end = time.monotonic() + seconds
        while (found := self.written()) < blocks:
            assert time.monotonic() < end, f"{self.name} wrote {found} of {blocks} blocks"
            time.sleep(0.5)
        return found

    def stop(self) -> int:
        """End the writing; the number of blocks that were written."""
        self.run("touch /tmp/enough; while [ ! -e /tmp/ended ]; do sleep 0.2; done", timeout=120)
        return int(self.run("cat /tmp/ended"))

    def errors(self) -> str:
        """What went wrong with the disk, as the writer and the guest's kernel tell it; empty when nothing did."""
        return self.run("cat /tmp/broken 2>/dev/null; dmesg | grep -iE 'I/O error|blk_update|vda.*error' || true")

    def check(self, blocks: int) -> None:
        """What is read back, past the guest's cache, is what was written."""
        script = f"echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs={BLOCK} count={blocks} 2>/dev/null | sha256sum"
        assert self.run(script).split()[0] == digest(blocks)


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
