"""The lab's nine Virtual Environments: where each begins, in which state, and how it is put there."""

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from lab import domains, guest_image
from lab.errors import LabError
from lab.instance import Instance
from lab.node import Node
from lab.processes import wait_until
from lab.shell import run

Kind = Literal["vm", "ct"]
State = Literal["running", "paused", "shut off"]
_HUNG = 90.0  # seconds without an answer after which a guest is taken for hung; busy machines boot one in 60
URI: dict[Kind, str] = {"vm": "qemu:///system", "ct": "lxc:///system"}


@dataclass(frozen=True)
class VE:
    """A Virtual Environment of the lab as it is in a fresh one."""

    name: str
    kind: Kind
    home: str
    state: State


@dataclass(frozen=True)
class SeenVE:
    """A domain as libvirt lists it; `state` is libvirt's word ("running", "paused", "shut off", …)."""

    name: str
    kind: Kind
    uuid: str
    state: str


VES = (
    VE("ct1", "ct", "primary", "running"),
    VE("va-mn", "ct", "primary", "running"),
    VE("vm2", "vm", "primary", "shut off"),
    VE("vmtest", "vm", "primary", "running"),
    VE("ct2", "ct", "secondnode1", "running"),
    VE("cttest", "ct", "secondnode1", "shut off"),
    VE("vmd-desktop", "vm", "secondnode1", "paused"),
    VE("ct3", "ct", "secondnode2", "running"),
    VE("vmd-cli", "vm", "secondnode2", "running"),
)


def make_shared_folder(instance: Instance, image: guest_image.GuestImage) -> None:
    """Puts kernel, disks and CT roots into the shared folder, those that are missing."""
    for folder in ("boot", "images", "ct"):
        (instance.shared / folder).mkdir(parents=True, exist_ok=True)
    for file in (image.kernel, image.initramfs):
        target = instance.shared / "boot" / file.name
        if not target.exists():
            shutil.copy(file, target.with_suffix(".new"))
            target.with_suffix(".new").rename(target)
    for ve in VES:
        if ve.kind == "ct":
            target = instance.shared / "ct" / ve.name
            if not target.exists():
                guest_image.build_container_root(target)
        elif not (disk := instance.shared / "images" / f"{ve.name}.qcow2").exists():
            fresh = disk.with_suffix(".new")
            run(["qemu-img", "create", "-q", "-f", "qcow2", fresh, domains.DISK_SIZE])
            fresh.rename(disk)


def define_network(node: Node) -> None:
    """Defines the guests' network on the node, starts it, and has libvirt start it at each boot."""
    if domains.NETWORK not in virsh(node, "vm", "net-list", "--all", "--name").split():
        virsh(node, "vm", "net-define", "/dev/stdin", stdin=domains.network_xml(node.instance))
    virsh(node, "vm", "net-autostart", domains.NETWORK)
    if domains.NETWORK not in virsh(node, "vm", "net-list", "--name").split():
        virsh(node, "vm", "net-start", domains.NETWORK)


def place(instance: Instance, nodes: Sequence[Node], *, kvm: bool) -> None:
    """Defines each VE that no node has, on its first node, and starts each that should run and runs nowhere.

    A VE that was moved stays where it is, one that was resumed stays so. Raises LabError when libvirt refuses.
    """
    seen = {node: {ve.name: ve.state for ve in listing(node)} for node in nodes}

    def settle(ve: VE) -> None:
        holders = [node for node in nodes if ve.name in seen[node]]
        active = [node for node in holders if seen[node][ve.name] != "shut off"]
        if holders:
            node = (active or holders)[0]
        else:
            node = next(node for node in nodes if node.name == ve.home)
            xml = domains.vm_xml(instance, ve.name, kvm=kvm) if ve.kind == "vm" else domains.ct_xml(instance, ve.name)
            virsh(node, ve.kind, "define", "/dev/stdin", stdin=xml)
        if ve.state == "shut off":
            return
        virsh(node, ve.kind, "autostart", ve.name)
        if not active:
            _start(node, ve)
        if ve.state == "paused" and not (active and (instance.settled or seen[node][ve.name] == "paused")):
            _pause(node, ve)

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(settle, VES))
    instance.settled = True
    instance.save()


def _start(node: Node, ve: VE) -> None:
    try:
        virsh(node, ve.kind, "start", ve.name)
    except LabError as error:
        # Busy, and starting two containers at once, libvirt now and then misses a cgroup that it made itself.
        if "libvirt_lxc startup" not in str(error):
            raise
        virsh(node, ve.kind, "start", ve.name)


def _pause(node: Node, ve: VE) -> None:
    """Pauses a VM once it has booted, so that it shows a prompt and answers when it is resumed."""
    wait_until(lambda: agent_answers(node, ve.name), 240, f"the guest agent of {ve.name} does not answer", every=0.5)
    virsh(node, ve.kind, "suspend", ve.name)


def wait_for_guests(nodes: Sequence[Node], *, timeout: float = 240) -> None:
    """Waits until the guest agent of each running VM answers. Raises LabError naming the first that does not."""
    deadline = time.monotonic() + timeout
    ours = {ve.name for ve in VES}
    for node in nodes:
        for ve in listing(node):
            if ve.kind == "vm" and ve.state == "running" and ve.name in ours:
                _wait_for_agent(node, ve.name, deadline)


def _wait_for_agent(node: Node, name: str, deadline: float) -> None:
    """A guest that hangs, as one does now and then that was moved while it was emulated, is reset once."""
    unanswered = f"the guest agent of {name} on {node.name} does not answer"
    try:
        wait_until(lambda: agent_answers(node, name), min(_HUNG, deadline - time.monotonic()), unanswered, every=0.5)
    except LabError:
        if time.monotonic() >= deadline:
            raise
        print(f"resetting {name}, which hangs … ", end="", flush=True)
        virsh(node, "vm", "reset", name)
        wait_until(lambda: agent_answers(node, name), deadline - time.monotonic(), unanswered, every=0.5)


def agent_answers(node: Node, name: str) -> bool:
    """True when the VM's guest agent answers a ping."""
    try:
        virsh(node, "vm", "qemu-agent-command", "--timeout", "2", name, '{"execute":"guest-ping"}')
    except LabError:
        return False
    return True


def listing(node: Node) -> list[SeenVE]:
    """Every domain of the node, sorted by name. Raises LabError when its libvirtd does not answer."""
    return sorted((ve for kind in URI for ve in _listing(node, kind)), key=lambda ve: ve.name)


def _listing(node: Node, kind: Kind) -> list[SeenVE]:
    uuids = [
        line.split(maxsplit=1)
        for line in virsh(node, kind, "list", "--all", "--uuid", "--name").splitlines()
        if line.strip()
    ]
    # Id, name and state; the state may be two words.
    table = [line.split(maxsplit=2) for line in virsh(node, kind, "list", "--all").splitlines() if line.strip()]
    states = {name: state.strip() for _, name, state in table}
    return [SeenVE(name.strip(), kind, uuid, states.get(name.strip(), "no state")) for uuid, name in uuids]


def virsh(node: Node, kind: Kind, *words: str, stdin: str | None = None) -> str:
    """Runs virsh on the node against its VMs or CTs. Raises LabError with libvirt's message."""
    return node.run("virsh", "--quiet", "-c", URI[kind], *words, stdin=stdin)


def libvirt_answers(node: Node) -> bool:
    """True when both drivers of the node's libvirtd answer."""
    try:
        for kind in URI:
            virsh(node, kind, "list", "--name")
    except LabError:
        return False
    return True
