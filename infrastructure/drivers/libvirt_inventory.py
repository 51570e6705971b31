"""Reading a node and its VEs through libvirt."""

import contextlib
import dataclasses
from functools import partial

import libvirt

from infrastructure.drivers.errors import DomainXmlError, NotFound
from infrastructure.drivers.facts import (
    DiskFacts,
    NetworkFacts,
    NodeFacts,
    VEFacts,
    VEKind,
    VEState,
    VEStatus,
)
from infrastructure.drivers.libvirt_answers import Asked, AskedAtOnce, status
from infrastructure.drivers.libvirt_codes import version_text
from infrastructure.drivers.libvirt_errors import broken_link, is_code, optional
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import attribute, domain_facts, network_layout, number, parse, text

_ADDRESS_SOURCES = (
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
    libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
)


class LibvirtInventory:
    """The Inventory protocol but for ``stats``."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def facts(self, capabilities: frozenset[str]) -> NodeFacts:
        """What the node is; ``memory_free`` is of this moment."""
        link = self._links.first()
        facts = link.call(_node_facts, doing="describe itself")
        return dataclasses.replace(facts, capabilities=capabilities)

    def ves(self) -> tuple[VEFacts, ...]:
        found: list[VEFacts] = []
        for link in self._links.all():
            found += link.call(partial(_all_domains, kind=link.kind), doing="list its Virtual Environments")
        for ve in found:
            self._links.remember(ve.uuid, ve.kind)
        return tuple(sorted(found, key=lambda ve: ve.name))

    def ve(self, uuid: str) -> VEFacts:
        link = self._links.holding(uuid)
        return link.call(lambda conn: _ve_facts(lookup(conn, uuid), link.kind, Asked()), doing="describe the VE")

    def state(self, uuid: str) -> VEStatus:
        link = self._links.holding(uuid)
        return link.call(lambda conn: status(lookup(conn, uuid)), doing="tell the VE's state")

    def xml(self, uuid: str, *, inactive: bool = False) -> str:
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        link = self._links.holding(uuid)
        return link.call(lambda conn: str(lookup(conn, uuid).XMLDesc(flags)), doing="describe the VE")

    def addresses(self, uuid: str) -> tuple[str, ...]:
        link = self._links.holding(uuid)
        return link.call(lambda conn: _addresses(lookup(conn, uuid)), doing="tell the VE's addresses")


def lookup(connection: "libvirt.virConnect", uuid: str) -> "libvirt.virDomain":
    """The domain with this UUID; libvirtError otherwise."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_INVALID_ARG):
            raise NotFound(f"{uuid[:60]!r} is not a UUID", code="bad-uuid") from None
        raise


def _all_domains(connection: "libvirt.virConnect", kind: VEKind) -> list[VEFacts]:
    domains, answers = connection.listAllDomains(), AskedAtOnce(connection, kind)
    found: list[VEFacts] = []
    for domain in domains:
        try:
            found.append(_ve_facts(domain, kind, answers))
        except libvirt.libvirtError as error:
            # It was undefined, or moved away, since the list was made.
            if not is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                raise
    return found


def _ve_facts(domain: "libvirt.virDomain", kind: VEKind, answers: Asked) -> VEFacts:
    state = answers.status(domain)
    try:
        facts = domain_facts(domain.XMLDesc())
    except DomainXmlError:
        # Still listed: a VE that cannot be described is not a VE that is gone.
        facts = VEFacts(uuid=domain.UUIDString(), name=domain.name(), kind=kind, state=state.state)
    stopped = state.state in (VEState.STOPPED, VEState.CRASHED)
    is_vm = kind is VEKind.VM
    sizes = answers.sizes(domain) if is_vm and not stopped else {}
    return dataclasses.replace(
        facts,
        kind=kind,
        state=state.state,
        reason=state.reason,
        autostart=answers.autostart(domain),
        persistent=answers.persistent(domain),
        snapshots=answers.snapshots(domain) if is_vm else 0,
        managed_save=stopped and is_vm and answers.saved(domain),
        disks=tuple(_with_size(domain, disk, sizes) for disk in facts.disks) if is_vm else facts.disks,
    )


def _with_size(domain: "libvirt.virDomain", disk: DiskFacts, known: dict[str, int]) -> DiskFacts:
    if disk.target in known:
        return dataclasses.replace(disk, size_bytes=known[disk.target])
    if not disk.source or not disk.target:
        return disk
    with optional():  # a missing image must not hide its VE
        return dataclasses.replace(disk, size_bytes=int(domain.blockInfo(disk.target)[0]))
    return disk


def _addresses(domain: "libvirt.virDomain") -> tuple[str, ...]:
    for source in _ADDRESS_SOURCES:
        try:
            interfaces = domain.interfaceAddresses(source)
        except libvirt.libvirtError as error:
            if broken_link(error) or is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                raise
            continue
        found = [
            str(item["addr"])
            for name, interface in interfaces.items()
            if name != "lo"
            for item in interface.get("addrs") or ()
        ]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


def _node_facts(connection: "libvirt.virConnect") -> NodeFacts:
    model, _memory_mib, threads, mhz, cells, sockets, cores, _per_core = connection.getInfo()
    host = parse(connection.getCapabilities(), "capabilities")
    memory = _memory(connection)
    return NodeFacts(
        uuid=text(host, "host/uuid").lower(),
        hostname=connection.getHostname(),
        libvirt_version=version_text(connection.getLibVersion()),
        qemu_version=version_text(connection.getVersion()) if connection.getType() == "QEMU" else "",
        cpu_model=_cpu_model(connection) or text(host, "host/cpu/model") or str(model),
        cpu_threads=threads,
        cpu_mhz=mhz,
        memory_bytes=memory.get("total", 0),
        memory_free=memory.get("free", 0),
        arch=text(host, "host/cpu/arch"),
        cpu_sockets=sockets * cells,
        cpu_cores=cores,
        networks=_networks(connection),
        bridges=_bridges(connection),
    )


def _memory(connection: "libvirt.virConnect") -> dict[str, int]:
    """Total, and what guests could still get: free plus what the kernel gives back (bytes)."""
    total = int(connection.getInfo()[1]) << 20
    try:
        stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    except libvirt.libvirtError as error:
        if broken_link(error):
            raise
        return {"total": total, "free": int(connection.getFreeMemory())}
    free = stats.get("free", 0) + stats.get("buffers", 0) + stats.get("cached", 0)
    return {"total": stats.get("total", 0) << 10 or total, "free": free << 10}


def _cpu_model(connection: "libvirt.virConnect") -> str:
    """The processor's own name, which the capabilities lack."""
    with optional(), contextlib.suppress(DomainXmlError):
        sysinfo = parse(connection.getSysinfo(), "sysinfo")
        for entry in sysinfo.iterfind("processor/entry"):
            if entry.get("name") in ("version", "model_name") and entry.text:
                return " ".join(entry.text.split())
    return ""


def _networks(connection: "libvirt.virConnect") -> tuple[NetworkFacts, ...]:
    found: list[NetworkFacts] = []
    with optional():  # no network driver: no networks
        for network in connection.listAllNetworks():
            root = parse(network.XMLDesc(), "network")
            found.append(
                NetworkFacts(
                    name=network.name(),
                    bridge=attribute(root, "bridge", "name"),
                    active=network.isActive() == 1,
                    uuid=network.UUIDString(),
                    autostart=number(str(network.autostart())) == 1,
                    **network_layout(root),
                )
            )
    return tuple(sorted(found, key=lambda item: item.name))


def _bridges(connection: "libvirt.virConnect") -> tuple[str, ...]:
    with optional():
        names = [
            item.name()
            for item in connection.listAllInterfaces()
            if parse(item.XMLDesc(), "interface").get("type") == "bridge"
        ]
        return tuple(sorted(names))
    return ()
