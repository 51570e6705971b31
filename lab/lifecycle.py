"""What the commands do: up, down, power, link."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import accel, ceph_cluster, ceph_files, guest_image, network, spares, ves
from lab.errors import LabError
from lab.instance import CACHE, DEFAULT_NAME, Instance, cache_locked, siblings
from lab.node import Node, nodes
from lab.processes import wait_until

# One file per subnet in use on this host, naming the folder of the lab that uses it; gone after a reboot, as labs are.
_CLAIMS = Path("/run/mooring-lab")
_CAPABILITIES = Path("var/cache/libvirt/qemu/capabilities")
_CAPABILITIES_CACHE = CACHE / "qemu-capabilities"


@contextlib.contextmanager
def phase(title: str) -> Iterator[None]:
    """Prints what is being done, then the seconds it took."""
    print(f"{title} …", end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def up(instance: Instance, *, disks: int | None = None, one_tier: int | None = None) -> None:
    """Brings the whole lab into its first state, or repairs what is missing of it. Safe to repeat.

    `disks` and `one_tier` are for the first time: see ceph_layout.choose.
    """
    started = time.monotonic()
    ceph_cluster.prepare(instance, disks=disks, one_tier=one_tier)
    instance.logs.mkdir(exist_ok=True)
    with phase("Guest image"), cache_locked():
        image = guest_image.build()
        ves.make_shared_folder(instance, image)
    with phase("KVM probe"), cache_locked():
        kvm = accel.kvm_works(image)
    with phase("Network"):
        claim_subnet(instance)
        instance.cut.clear()
        network.ensure_switch(instance)
    lab_nodes = nodes(instance)
    with phase("Nodes"):
        together(lambda node: _ensure_node(node, kvm=kvm), lab_nodes)
    with phase("Storage"):
        ceph_cluster.ensure(instance, lab_nodes)
    with phase("libvirt"):
        together(_ensure_libvirt, lab_nodes)
    with phase("Virtual Environments"):
        ves.place(instance, lab_nodes, kvm=kvm)
        _keep_capabilities(lab_nodes[0])
    with phase("Guests"):
        ves.wait_for_guests(lab_nodes)
    addresses = ", ".join(f"{node.name} {node.address}" for node in lab_nodes)
    print(f"Lab “{instance.name}” is up after {time.monotonic() - started:.1f} s: {addresses}")
    print(f"Guests run under {'KVM' if kvm else 'emulation (TCG)'}.")


def down(instance: Instance, *, purge: bool) -> None:
    """Ends everything of the lab and forgets the VEs. Unless purged, nodes and storage stay what they are."""
    lab_nodes = nodes(instance)
    if instance.subnet is not None:
        together(lambda node: node.power_off(), lab_nodes)
        network.delete_switch(instance)
        _release_subnet(instance)
    for node in lab_nodes:
        spares.release(node)
    if purge:
        instance.forget()
        return
    instance.settled = False
    _remove(instance.shared)
    for node in lab_nodes:
        for folder in ("libvirt/qemu", "libvirt/lxc"):
            _remove(node.root / "etc" / folder)
        _remove(node.root / "var" / "lib" / "libvirt")
    instance.save()


def power_on(node: Node) -> None:
    """Boots a node and waits until its libvirt and its VEs are back. Nothing happens to one that runs."""
    if node.instance.subnet is None:
        raise LabError(f"the lab “{node.instance.name}” was never up: run bin/lab --instance {node.instance.name} up")
    ceph_files.require_ceph(node.instance)
    claim_subnet(node.instance)
    network.ensure_switch(node.instance)
    with cache_locked():
        kvm = accel.kvm_works(guest_image.build())
    _ensure_node(node, kvm=kvm)
    _ensure_libvirt(node)
    ceph_cluster.wait_for_node(node)
    ves.wait_for_guests([node])


def set_link(node: Node, *, up: bool) -> None:
    """Cuts the node off at the switch, or connects it again. A node without power finds its cable as it was left."""
    cut = set(node.instance.cut) - {node.name}
    node.instance.cut = sorted(cut if up else cut | {node.name})
    network.set_port(node.instance, node.name, up=up)
    node.instance.save()


def together(action: Callable[[Node], None], lab_nodes: list[Node]) -> None:
    """Does it on all nodes at once. Raises the first error, after all have ended."""
    with ThreadPoolExecutor(len(lab_nodes)) as pool:
        futures = [pool.submit(action, node) for node in lab_nodes]
    for future in futures:
        future.result()


def _ensure_node(node: Node, *, kvm: bool) -> None:
    node.build()
    ceph_files.prepare(node)
    if node.powered:
        network.ensure_port(node.instance, node.name, address=node.address)
        return
    capabilities = node.root / _CAPABILITIES
    with cache_locked():
        if _CAPABILITIES_CACHE.exists() and not capabilities.exists():
            _copy_tree(_CAPABILITIES_CACHE, capabilities)
    node.boot(kvm=kvm)


def _ensure_libvirt(node: Node) -> None:
    if not ves.libvirt_answers(node):
        for service in ("virtlogd", "libvirtd"):
            node.run("service", service, "start")
    log = node.root / "var" / "log" / "libvirt" / "libvirtd.log"
    wait_until(lambda: ves.libvirt_answers(node), 60, f"libvirtd on {node.name} does not answer: see {log}", every=0.2)
    node.run("service", "ssh", "start")
    ves.define_network(node)


def _keep_capabilities(node: Node) -> None:
    """Keeps what libvirt found out about QEMU: asking it again takes ten seconds a node. libvirt itself checks that the
    findings still fit the QEMU and the kernel at hand."""
    found = node.root / _CAPABILITIES
    if found.exists():
        with cache_locked():
            _copy_tree(found, _CAPABILITIES_CACHE)


def claim_subnet(instance: Instance) -> None:
    """Gives the lab 10.78.K.0/24: the K it had, or the first free one. Raises LabError when there is none."""
    _CLAIMS.mkdir(exist_ok=True)
    remembered = {other.subnet for other in siblings(instance.name)}
    foreign = network.subnets_in_use()
    wishes = [number for number in range(256) if number not in remembered]
    if instance.subnet is not None:
        wishes.insert(0, instance.subnet)
    elif instance.name != DEFAULT_NAME and 0 in wishes:
        wishes.append(wishes.pop(0))  # the first subnet is the default lab's, as long as another is free
    for number in wishes:
        if _claim(number, instance, free=number not in foreign):
            if instance.subnet not in {None, number}:
                print(f"10.78.{instance.subnet}.0/24 is taken; the lab moves to 10.78.{number}.0/24.")
            instance.subnet = number
            instance.save()
            return
    raise LabError("no subnet of 10.78.0.0/16 is free on this machine: end another lab with bin/lab down")


def _claim(number: int, instance: Instance, *, free: bool) -> bool:
    path = _CLAIMS / str(number)
    try:
        if path.read_text() == str(instance.directory):
            return True
    except FileNotFoundError:
        pass
    if not free:
        return False
    try:
        with path.open("x") as handle:
            handle.write(str(instance.directory))
    except FileExistsError:
        return False
    return True


def _release_subnet(instance: Instance) -> None:
    (_CLAIMS / str(instance.subnet)).unlink(missing_ok=True)


def _copy_tree(source: Path, target: Path) -> None:
    """Replaces `target` by a copy, complete before it gets its name."""
    fresh = target.with_name(f"{target.name}.new")
    _remove(fresh)
    shutil.copytree(source, fresh)
    _remove(target)
    fresh.rename(target)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
