"""Moves the VMs' disks from the shared folder into Ceph, while the VMs run.

Where to is told by a storage pool that libvirt of each node has, such as one that an administrator or a panel made: its
Ceph pool, its monitors, and the secret with which libvirt opens images.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lxml import etree

from lab import domains, ves
from lab.domains import RbdPool
from lab.errors import LabError
from lab.node import Node

_COPY_LIMIT = 120  # seconds for one disk


def move(nodes: Sequence[Node], pool: str) -> list[str]:
    """Moves the disk of each of the lab's VMs into the storage pool of this name; the names of those it moved.

    One whose disk lies in Ceph already is left as it is. Running and paused VMs go on as they are, for libvirt copies
    their disks live. Raises LabError when a node without power has a VM, lacks the pool, or refuses.
    """
    ours = {ve.name for ve in ves.VES if ve.kind == "vm"}
    held = [(node, ve) for node in nodes for ve in ves.listing(node) if ve.kind == "vm" and ve.name in ours]
    left = [(node, ve) for node, ve in held if not domains.in_ceph(_definition(node, ve.name))]
    if not left:
        return []
    target = _pool(left[0][0], pool)
    _make_images(left[0][0], target, [ve.name for _, ve in left])
    with ThreadPoolExecutor(len(left)) as workers:
        list(workers.map(lambda found: _move(found[0], found[1], target), left))
    return sorted(ve.name for _, ve in left)


def _definition(node: Node, name: str) -> str:
    return ves.virsh(node, "vm", "dumpxml", name)


def _pool(node: Node, name: str) -> RbdPool:
    try:
        xml = ves.virsh(node, "vm", "pool-dumpxml", name)
    except LabError as error:
        raise LabError(f"{node.name} has no storage pool {name}: {error}") from error
    return domains.rbd_pool(xml)


def _make_images(node: Node, pool: RbdPool, names: Sequence[str]) -> None:
    """An image for each VM, of the size of its disk. One of an earlier lab is there still: it is written over."""
    known = node.run("rbd", "ls", pool.source).split()
    for name in names:
        if name not in known:
            node.run("rbd", "create", "--size", domains.DISK_SIZE, f"{pool.source}/{name}")


def _move(node: Node, ve: ves.SeenVE, pool: RbdPool) -> None:
    if ve.state == "shut off":
        source = f"{domains.SHARED}/images/{ve.name}.qcow2"
        target = f"rbd:{pool.source}/{ve.name}"
        node.run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", source, target, timeout=_COPY_LIMIT)
        xml = domains.with_disk(_definition(node, ve.name), domains.rbd_disk(pool, ve.name))
        ves.virsh(node, "vm", "define", "/dev/stdin", stdin=xml)
        return
    with contextlib.suppress(LabError):  # a copy that a killed run left
        ves.virsh(node, "vm", "blockjob", ve.name, domains.DISK, "--abort")
    disk = etree.tostring(domains.rbd_disk(pool, ve.name), encoding="unicode")
    # libvirt writes the disk's new place into the definition as well, so that it is found after a power cut too.
    how = ("--reuse-external", "--transient-job", "--wait", "--pivot", "--timeout", str(_COPY_LIMIT - 20))
    ves.virsh(node, "vm", "blockcopy", ve.name, domains.DISK, "--xml", "/dev/stdin", *how, stdin=disk)
