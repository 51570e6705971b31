"""The libvirt XML of the lab's network and guests, built with lxml."""

from dataclasses import dataclass

from lxml import etree
from lxml.builder import E  # type: ignore[import-not-found]

from lab.errors import LabError
from lab.instance import Instance

NETWORK = "lan"
SHARED = "/srv/shared"  # where each node sees the shared folder
DISK, DISK_SIZE = "vda", "64M"  # each VM has one
_MEMORY = {"vm": "128", "ct": "64"}  # MiB
# Emulated, a guest that is moved now and then comes out with broken memory: it panics and starts again by itself.
# Without the self-tests of its ciphers and without rewriting its own code for one CPU it boots a fifth faster.
_COMMAND_LINE = "console=tty0 console=ttyS0 quiet consoleblank=0 oops=panic panic=1 cryptomgr.notests noreplace-smp"


@dataclass(frozen=True)
class RbdPool:
    """A libvirt storage pool on Ceph: `source` is Ceph's pool, `monitors` are (address, port), `secret` is a UUID."""

    source: str
    monitors: tuple[tuple[str, str], ...]
    user: str
    secret: str


def network_xml(instance: Instance) -> str:
    """The network guests are attached to: the node's bridge br0."""
    network = E.network(
        E.name(NETWORK),
        E.uuid(str(instance.uuid_of("network:lan"))),
        E.forward(mode="bridge"),
        E.bridge(name="br0"),
    )
    return _text(network)


def vm_xml(instance: Instance, name: str, *, kvm: bool) -> str:
    """A small VM: a disk on the shared folder, VGA and keyboard over VNC on a socket, serial console, guest agent."""
    domain = E.domain(
        *_identity(instance, name, "vm"),
        E.os(
            E.type("hvm", arch="x86_64", machine="pc"),
            E.kernel(f"{SHARED}/boot/vmlinuz"),
            E.initrd(f"{SHARED}/boot/initramfs.gz"),
            E.cmdline(f"{_COMMAND_LINE} guest={name}"),
        ),
        E.features(E.acpi()),
        # A named model: what libvirt compares with the target's CPU before a migration.
        E.cpu(E.model("qemu64", fallback="forbid"), mode="custom", match="exact", check="partial"),
        E.clock(offset="utc"),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        E.devices(
            E.disk(
                E.driver(name="qemu", type="qcow2", cache="none"),
                E.source(file=f"{SHARED}/images/{name}.qcow2"),
                E.target(dev=DISK, bus="virtio"),
                type="file",
                device="disk",
            ),
            _interface(instance, name, E.model(type="virtio")),
            E.serial(E.target(port="0"), type="pty"),
            E.console(E.target(type="serial", port="0"), type="pty"),
            E.channel(E.target(type="virtio", name="org.qemu.guest_agent.0"), type="unix"),
            E.input(type="keyboard", bus="ps2"),
            E.graphics(E.listen(type="socket"), type="vnc"),
            E.video(E.model(type="vga", vram="4096", heads="1")),
            E.memballoon(model="virtio"),
            E.rng(E.backend("/dev/urandom", model="random"), model="virtio"),
        ),
        type="kvm" if kvm else "qemu",
    )
    return _text(domain)


def rbd_pool(xml: str) -> RbdPool:
    """What `virsh pool-dumpxml` says of a pool. Raises LabError for one that is not on Ceph, or has no key."""
    root = etree.fromstring(xml)
    source, auth = root.find("source"), root.find("source/auth")
    secret = root.find("source/auth/secret")
    if root.get("type") != "rbd" or source is None or auth is None or secret is None:
        raise LabError(f"the storage pool {root.findtext('name')} is not one on Ceph with a key for libvirt")
    return RbdPool(
        source=source.findtext("name", ""),
        monitors=tuple((host.get("name", ""), host.get("port", "")) for host in source.iterfind("host")),
        user=auth.get("username", ""),
        secret=secret.get("uuid", ""),
    )


def rbd_disk(pool: RbdPool, image: str) -> etree._Element:
    """A VM's disk on an image of the pool."""
    disk: etree._Element = E.disk(
        E.driver(name="qemu", type="raw", cache="none"),
        E.source(
            *(E.host(name=address, port=port) for address, port in pool.monitors),
            E.auth(E.secret(type="ceph", uuid=pool.secret), username=pool.user),
            protocol="rbd",
            name=f"{pool.source}/{image}",
        ),
        E.target(dev=DISK, bus="virtio"),
        type="network",
        device="disk",
    )
    return disk


def in_ceph(xml: str) -> bool:
    """True when the VM's disk is an image in Ceph."""
    return etree.fromstring(xml).find("devices/disk/source[@protocol='rbd']") is not None


def with_disk(xml: str, disk: etree._Element) -> str:
    """The VM's definition with this disk in place of its own, at the same address of its bus."""
    root = etree.fromstring(xml)
    former = root.find(f"devices/disk/target[@dev='{DISK}']/..")
    if former is None:
        raise LabError(f"{root.findtext('name')} has no disk {DISK}")
    if (address := former.find("address")) is not None:
        disk.append(address)
    former.addprevious(disk)
    former.getparent().remove(former)  # type: ignore[union-attr]
    return _text(root)


def ct_xml(instance: Instance, name: str) -> str:
    """A small CT with its root in the shared folder."""
    domain = E.domain(
        *_identity(instance, name, "ct"),
        E.os(E.type("exe", arch="x86_64"), E.init("/sbin/init")),
        E.clock(offset="utc"),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        E.devices(
            E.filesystem(
                E.source(dir=f"{SHARED}/ct/{name}"), E.target(dir="/"), type="mount", accessmode="passthrough"
            ),
            _interface(instance, name, E.guest(dev="eth0")),
            E.console(type="pty"),
        ),
        type="lxc",
    )
    return _text(domain)


def _identity(instance: Instance, name: str, kind: str) -> list[etree._Element]:
    return [
        E.name(name),
        E.uuid(str(instance.uuid_of(f"ve:{name}"))),
        E.memory(_MEMORY[kind], unit="MiB"),
        E.vcpu("1"),
    ]


def _interface(instance: Instance, name: str, detail: etree._Element) -> etree._Element:
    return E.interface(E.mac(address=instance.mac_of(f"ve:{name}")), E.source(network=NETWORK), detail, type="network")


def _text(element: etree._Element) -> str:
    return str(etree.tostring(element, pretty_print=True, encoding="unicode"))
