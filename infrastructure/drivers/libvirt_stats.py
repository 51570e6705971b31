"""Counters of a node and its VEs: one bulk call for the VMs, one command over SSH for the CTs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import libvirt

from infrastructure.drivers.ct_usage import Running, Usage, UsageReader
from infrastructure.drivers.errors import DomainXmlError, DriverError
from infrastructure.drivers.facts import NodeSample, VEKind, VESample, VEState
from infrastructure.drivers.libvirt_codes import state_of
from infrastructure.drivers.libvirt_errors import optional
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import domain_facts

_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
# A VM whose monitor is held by a long job answers with what is known instead of making all others wait.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


@dataclass(frozen=True, slots=True)
class _Container:
    uuid: str
    name: str
    domain_id: int
    state: VEState
    reason: str


class LibvirtStats:
    """``sample()``; keeps, per running container, which devices its adapters have on the node."""

    def __init__(self, links: Links, usage: UsageReader | None) -> None:
        self._links = links
        self._usage = usage
        self._devices: dict[tuple[str, int], tuple[str, ...]] = {}

    def sample(self) -> NodeSample:
        at = time.monotonic()
        vms = self._links.of(VEKind.VM)
        if vms is not None:
            (cpu, memory, threads), samples = vms.call(_node_and_vms, doing="tell its own and its VMs' counters")
        else:
            cpu, memory, threads = self._links.first().call(_node, doing="tell its use of CPU and memory")
            samples = []
        if self._links.of(VEKind.CT):
            samples += self._containers()
        return NodeSample(
            at=at,
            cpu_busy_ns=sum(cpu.get(name, 0) for name in ("user", "kernel", "intr")) if cpu else None,
            cpu_idle_ns=cpu.get("idle", 0) + cpu.get("iowait", 0) if cpu else None,
            cpu_threads=threads,
            memory_total=memory.get("total", 0) << 10,
            memory_free=memory.get("free", 0) << 10,
            memory_buffers=memory.get("buffers", 0) << 10,
            memory_cached=memory.get("cached", 0) << 10,
            ves=tuple(sorted(samples, key=lambda sample: sample.name)),
        )

    def _containers(self) -> list[VESample]:
        link = self._links.of(VEKind.CT)
        if link is None:
            return []
        containers, devices = link.call(self._list, doing="list its containers")
        self._devices = devices
        running = {
            item.uuid: Running(item.domain_id, devices.get((item.uuid, item.domain_id), ()))
            for item in containers
            if item.domain_id > 0
        }
        usage: Mapping[str, Usage] = {}
        if self._usage is not None and running:
            try:
                usage = self._usage.read(running)
            except DriverError:
                usage = {}  # SSH alone is away: libvirt's own two figures remain
        if missing := running.keys() - usage.keys():
            usage = {**link.call(lambda conn: _plain_usage(conn, missing), doing="describe its containers"), **usage}
        return [_container_sample(item, usage.get(item.uuid, Usage())) for item in containers]

    def _list(
        self, connection: "libvirt.virConnect"
    ) -> tuple[list[_Container], dict[tuple[str, int], tuple[str, ...]]]:
        found: list[_Container] = []
        devices: dict[tuple[str, int], tuple[str, ...]] = {}
        for domain in connection.listAllDomains():
            with optional():  # it may vanish between the list and the look
                state, reason = state_of(*domain.state())
                item = _Container(domain.UUIDString(), domain.name(), domain.ID(), state, reason)
                found.append(item)
                key = (item.uuid, item.domain_id)
                if item.domain_id > 0:
                    devices[key] = self._devices.get(key) or _devices(domain)
        return found, devices


def _devices(domain: "libvirt.virDomain") -> tuple[str, ...]:
    try:
        return tuple(nic.target for nic in domain_facts(domain.XMLDesc()).nics if nic.target)
    except DomainXmlError:
        return ()


def _plain_usage(connection: "libvirt.virConnect", uuids: "set[str]") -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for uuid in uuids:
        with optional():
            _state, _max_kib, used_kib, _vcpus, cpu_ns = connection.lookupByUUIDString(uuid).info()
            found[uuid] = Usage(cpu_ns=cpu_ns, memory_used=used_kib << 10)
    return found


def _container_sample(item: _Container, usage: Usage) -> VESample:
    return VESample(
        uuid=item.uuid,
        name=item.name,
        kind=VEKind.CT,
        state=item.state,
        reason=item.reason,
        cpu_ns=usage.cpu_ns,
        memory_used=usage.memory_used,
        disk_read_bytes=usage.disk_read_bytes,
        disk_write_bytes=usage.disk_write_bytes,
        disk_read_requests=usage.disk_read_requests,
        disk_write_requests=usage.disk_write_requests,
        net_rx_bytes=usage.net_rx_bytes,
        net_tx_bytes=usage.net_tx_bytes,
    )


def _node_and_vms(
    connection: "libvirt.virConnect",
) -> tuple[tuple[dict[str, int], dict[str, int], int], list[VESample]]:
    """In one turn of the connection's thread: handing over costs more than the calls themselves."""
    return _node(connection), _virtual_machines(connection)


def _node(connection: "libvirt.virConnect") -> tuple[dict[str, int], dict[str, int], int]:
    cpu: dict[str, int] = {}
    memory: dict[str, int] = {}
    with optional():
        cpu = connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
    with optional():
        memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    info = connection.getInfo()
    if not memory:
        memory = {"total": int(info[1]) << 10, "free": int(connection.getFreeMemory()) >> 10}
    return cpu, memory, int(info[2])


def _virtual_machines(connection: "libvirt.virConnect") -> list[VESample]:
    return [_vm_sample(domain, stats) for domain, stats in connection.getAllDomainStats(_GROUPS, _FLAGS)]


def _vm_sample(domain: "libvirt.virDomain", stats: dict[str, int]) -> VESample:
    state, reason = state_of(stats.get("state.state", -1), stats.get("state.reason", 0))
    get: Callable[[str], int | None] = stats.get
    current = get("balloon.current")
    return VESample(
        uuid=domain.UUIDString(),
        name=domain.name(),
        kind=VEKind.VM,
        state=state,
        reason=reason,
        cpu_ns=get("cpu.time"),
        memory_bytes=current << 10 if current is not None else None,
        memory_used=_memory_used(stats),
        disk_read_bytes=_total(stats, "block", "rd.bytes"),
        disk_write_bytes=_total(stats, "block", "wr.bytes"),
        disk_read_requests=_total(stats, "block", "rd.reqs"),
        disk_write_requests=_total(stats, "block", "wr.reqs"),
        net_rx_bytes=_total(stats, "net", "rx.bytes"),
        net_tx_bytes=_total(stats, "net", "tx.bytes"),
    )


def _memory_used(stats: dict[str, int]) -> int | None:
    """Bytes that the guest itself says it uses; without its word QEMU's, which holds QEMU's own memory as well and is
    therefore counted up to what the guest was given."""
    available, usable = stats.get("balloon.available"), stats.get("balloon.usable")
    if available is not None and usable is not None:
        return max(available - usable, 0) << 10
    rss, current = stats.get("balloon.rss"), stats.get("balloon.current")
    if rss is None:
        return None
    return (min(rss, current) if current is not None else rss) << 10


def _total(stats: dict[str, int], group: str, figure: str) -> int | None:
    values = [
        value
        for index in range(stats.get(f"{group}.count", 0))
        if (value := stats.get(f"{group}.{index}.{figure}")) is not None
    ]
    return sum(values) if values else None
