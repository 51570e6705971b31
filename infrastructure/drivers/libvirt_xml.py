"""Reading domain XML into facts.

The input comes from nodes and so from whoever may define domains there: entities are not resolved, nothing is fetched,
size is limited, and odd content never raises anything but DomainXmlError.
"""

from ipaddress import ip_interface
from typing import Any

from lxml import etree

from infrastructure.drivers.errors import DomainXmlError
from infrastructure.drivers.facts import (
    DiskFacts,
    GraphicsFacts,
    NicFacts,
    VEFacts,
    VEKind,
    VEState,
)

MAX_BYTES = 1 << 20
MAX_NUMBER = 2**63 - 1
AGENT_CHANNEL = "org.qemu.guest_agent.0"
_OSINFO = "{http://libosinfo.org/xmlns/libvirt/domain/1.0}"
_UNITS = {
    "": 1024,  # libvirt's default unit is KiB
    "b": 1,
    "bytes": 1,
    "kb": 10**3,
    "k": 2**10,
    "kib": 2**10,
    "mb": 10**6,
    "m": 2**20,
    "mib": 2**20,
    "gb": 10**9,
    "g": 2**30,
    "gib": 2**30,
    "tb": 10**12,
    "t": 2**40,
    "tib": 2**40,
}
# Where a disk's <source> names its object, by what the element carries.
_SOURCE_ATTRIBUTES = ("file", "dev", "dir", "name", "volume")


def parse(xml: str, root: str = "domain") -> etree._Element:
    """The root element.  DomainXmlError when the text is too large, not XML, or has another root."""
    try:
        data = xml.encode()
    except UnicodeEncodeError as error:
        raise DomainXmlError("The domain XML is not valid text", code="xml-encoding") from error
    if len(data) > MAX_BYTES:
        raise DomainXmlError(f"The domain XML is larger than {MAX_BYTES >> 10} KiB", code="xml-size")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DomainXmlError(f"The domain XML cannot be read: {error}", code="xml-syntax") from None
    if element is None or element.tag != root:
        raise DomainXmlError(f"The XML is not a libvirt <{root}>", code="xml-root")
    return element


def domain_facts(xml: str) -> VEFacts:
    """What the XML alone tells.  State, autostart, snapshots and sizes are left at their defaults."""
    domain = parse(xml)
    name, uuid = text(domain, "name"), text(domain, "uuid")
    if not name or not uuid:
        raise DomainXmlError("The domain XML has no name or no UUID", code="xml-identity")
    virt = domain.get("type", "")
    cpu = domain.find("cpu")
    devices = domain.find("devices")
    if devices is None:
        devices = etree.Element("devices")
    maximum = memory_bytes(domain.find("memory"))
    nics = tuple(_nic(item) for item in devices.iterfind("interface"))
    configured, connected = _agent(devices)
    vcpu = domain.find("vcpu")
    return VEFacts(
        uuid=uuid.lower(),
        name=name,
        kind=VEKind.CT if virt == "lxc" else VEKind.VM,
        state=VEState.UNKNOWN,
        vcpus=number(vcpu.get("current") if vcpu is not None else None) or number(text(domain, "vcpu")),
        memory_bytes=memory_bytes(domain.find("currentMemory")) or maximum,
        memory_max_bytes=maximum,
        title=text(domain, "title"),
        os=_operating_system(domain),
        arch=attribute(domain, "os/type", "arch"),
        machine=attribute(domain, "os/type", "machine"),
        virt=virt,
        disks=(
            *(_disk(item) for item in devices.iterfind("disk")),
            *(_filesystem(item) for item in devices.iterfind("filesystem")),
        ),
        nics=nics,
        graphics=tuple(_graphics(item) for item in devices.iterfind("graphics")),
        cpu_mode=cpu.get("mode", "custom") if cpu is not None else "",
        cpu_model=text(domain, "cpu/model"),
        agent_configured=configured,
        agent_connected=connected,
        addresses=tuple(address for nic in nics for address in nic.addresses),
        kernel=text(domain, "os/kernel"),
        initrd=text(domain, "os/initrd"),
        host_devices=tuple(_host_device(item) for item in devices.iterfind("hostdev")),
        domain_id=_domain_id(domain),
    )


def network_layout(root: etree._Element) -> dict[str, Any]:
    """How a <network> reaches the world, its own addresses and what its DHCP hands out: fields of NetworkFacts."""
    forward = root.find("forward")
    return {
        "mode": forward.get("mode", "nat") if forward is not None else "isolated",
        "addresses": tuple(_with_prefix(ip) for ip in root.iterfind("ip") if ip.get("address")),
        "dhcp": tuple(f"{item.get('start', '')} – {item.get('end', '')}" for item in root.iterfind("ip/dhcp/range")),
    }


def _with_prefix(ip: etree._Element) -> str:
    address, prefix = ip.get("address", ""), ip.get("prefix") or ip.get("netmask")
    try:
        return str(ip_interface(f"{address}/{prefix}")) if prefix else address
    except ValueError:
        return address


def text(element: etree._Element, path: str) -> str:
    """Stripped text of the first match, "" without one."""
    found = element.findtext(path)
    return str(found).strip() if found is not None else ""


def attribute(element: etree._Element, path: str, name: str) -> str:
    """Attribute of the first match, "" without one."""
    found = element.find(path)
    return str(found.get(name, "")) if found is not None else ""


def number(value: str | None) -> int:
    """A non-negative integer of at most 63 bits; 0 for anything else."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit() or len(value) > 30:
        return 0
    result = int(value)
    return result if result <= MAX_NUMBER else 0


def memory_bytes(element: etree._Element | None) -> int:
    """Bytes of a <memory>-like element with libvirt's units; 0 when absent or unreadable."""
    if element is None:
        return 0
    factor = _UNITS.get(element.get("unit", "").lower(), 0)
    result = number(element.text) * factor
    return result if result <= MAX_NUMBER else 0


def _domain_id(domain: etree._Element) -> int | None:
    value = domain.get("id")
    return number(value) if value is not None and value.isdigit() else None


def _operating_system(domain: etree._Element) -> str:
    identity = attribute(domain, f"metadata/{_OSINFO}libosinfo/{_OSINFO}os", "id")
    parts = [part for part in identity.rstrip("/").split("/") if part]
    return " ".join(parts[-2:]) if len(parts) > 2 else ""


def _source(source: etree._Element | None) -> str:
    if source is None:
        return ""
    if source.get("pool") and source.get("volume"):
        return f"{source.get('pool')}/{source.get('volume')}"
    for name in _SOURCE_ATTRIBUTES:
        if value := source.get(name):
            return value
    return ""


def _backing(disk: etree._Element) -> tuple[str, ...]:
    chain: list[str] = []
    below = disk.find("backingStore")
    while below is not None and len(chain) < 64:
        if path := _source(below.find("source")):
            chain.append(path)
        below = below.find("backingStore")
    return tuple(chain)


def _disk(disk: etree._Element) -> DiskFacts:
    source = disk.find("source")
    return DiskFacts(
        target=attribute(disk, "target", "dev"),
        source=_source(source),
        type=disk.get("type", ""),
        format=attribute(disk, "driver", "type"),
        device=disk.get("device", "disk"),
        bus=attribute(disk, "target", "bus"),
        readonly=disk.find("readonly") is not None,
        shareable=disk.find("shareable") is not None,
        protocol=source.get("protocol", "") if source is not None else "",
        backing=_backing(disk),
        secret=attribute(disk, "source/auth/secret", "uuid") or attribute(disk, "auth/secret", "uuid"),
    )


def _filesystem(item: etree._Element) -> DiskFacts:
    return DiskFacts(
        target=attribute(item, "target", "dir"),
        source=_source(item.find("source")),
        type=item.get("type", "mount"),
        format=attribute(item, "driver", "format"),
        device="filesystem",
        readonly=item.find("readonly") is not None,
    )


def _nic(nic: etree._Element) -> NicFacts:
    source = nic.find("source")
    return NicFacts(
        mac=attribute(nic, "mac", "address").lower(),
        type=nic.get("type", ""),
        network=source.get("network", "") if source is not None else "",
        bridge=source.get("bridge", "") if source is not None else "",
        model=attribute(nic, "model", "type"),
        target=attribute(nic, "target", "dev"),
        addresses=tuple(address for item in nic.iterfind("ip") if (address := item.get("address"))),
    )


def _graphics(item: etree._Element) -> GraphicsFacts:
    listen = item.find("listen")
    kind = listen.get("type", "") if listen is not None else ""
    socket = (listen.get("socket", "") if listen is not None else "") or item.get("socket", "")
    address = (listen.get("address", "") if listen is not None else "") or item.get("listen", "")
    if not kind:
        kind = "socket" if socket else "address"
    return GraphicsFacts(
        type=item.get("type", ""),
        listen=kind,
        address=address,
        socket=socket,
        port=number(item.get("port")) or None,
    )


def _agent(devices: etree._Element) -> tuple[bool, bool]:
    for channel in devices.iterfind("channel"):
        target = channel.find("target")
        if target is not None and target.get("name") == AGENT_CHANNEL:
            return True, target.get("state") == "connected"
    return False, False


def _host_device(item: etree._Element) -> str:
    address = item.find("source/address")
    parts = [item.get("type", "") or item.get("mode", "")]
    if address is not None:
        parts += [f"{name}={address.get(name)}" for name in sorted(map(str, address.keys()))]
    return " ".join(parts)
