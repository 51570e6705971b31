"""What drivers report: frozen values in plain units (bytes, nanoseconds, milliseconds unless a name says otherwise)."""

from dataclasses import dataclass
from enum import StrEnum


class VEKind(StrEnum):
    VM = "vm"
    CT = "ct"


class VEState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting-down"
    STOPPED = "stopped"
    CRASHED = "crashed"
    SUSPENDED = "suspended"  # the guest itself went to sleep (ACPI S3)
    UNKNOWN = "unknown"


class Capability(StrEnum):
    """What a driver can be asked for; members compare equal to their strings."""

    VM = "vm"
    CT = "ct"
    EVENTS = "events"
    VM_STATS = "vm-stats"
    CT_STATS = "ct-stats"
    NODE_STATS = "node-stats"
    LIVE_MIGRATION = "live-migration"
    CPU_CHECK = "cpu-check"
    CONSOLE = "console"
    SCREENSHOT = "screenshot"
    GUEST_AGENT = "guest-agent"
    HOST_COMMANDS = "host-commands"
    ATTACH = "attach"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A virtual network of the node; ``bridge`` is "" where libvirt names none."""

    name: str
    bridge: str = ""
    active: bool = True
    uuid: str = ""
    autostart: bool = False
    mode: str = "isolated"  # libvirt's forward mode: nat, route, bridge, open …
    addresses: tuple[str, ...] = ()  # the node's own in it, with the prefix: 192.168.122.1/24
    dhcp: tuple[str, ...] = ()  # "192.168.122.2 – 192.168.122.254"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A hypervisor node.  ``memory_*`` in bytes, ``cpu_mhz`` 0 where unknown, versions like "9.0.0"."""

    uuid: str
    hostname: str
    libvirt_version: str
    qemu_version: str
    cpu_model: str
    cpu_threads: int
    cpu_mhz: int
    memory_bytes: int
    memory_free: int
    arch: str = ""
    kernel: str = ""
    cpu_sockets: int = 0
    cpu_cores: int = 0
    capabilities: frozenset[str] = frozenset()
    networks: tuple[NetworkFacts, ...] = ()
    bridges: tuple[str, ...] = ()  # host bridges libvirt knows as interfaces, beyond those of networks


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A disk of a VE.  ``source`` is a path, "pool/image" of a network disk or "" (empty drive)."""

    target: str
    source: str
    type: str  # file, block, network, dir, volume, mount (a CT's file system)
    format: str = ""
    device: str = "disk"  # disk, cdrom, floppy, lun, filesystem
    bus: str = ""
    size_bytes: int = 0  # 0 when the engine was not asked
    readonly: bool = False
    shareable: bool = False
    protocol: str = ""  # rbd, iscsi, nbd … for type network
    backing: tuple[str, ...] = ()  # files below the source, nearest first
    secret: str = ""  # UUID of the libvirt secret with which a network disk is opened


@dataclass(frozen=True, slots=True)
class NicFacts:
    """A network adapter; ``network`` is set for type network, ``bridge`` for type bridge."""

    mac: str
    type: str = ""
    network: str = ""
    bridge: str = ""
    model: str = ""
    target: str = ""  # the device on the node while the VE runs
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphicsFacts:
    """A display server: ``listen`` is "socket", "address", "network" or "none"."""

    type: str
    listen: str
    address: str = ""
    socket: str = ""
    port: int | None = None

    @property
    def exposed(self) -> bool:
        """Whether other machines may connect to it."""
        if self.listen not in ("address", "network"):
            return False
        return self.address not in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class VEFacts:
    """A Virtual Environment as one node sees it; ``reason`` is libvirt's for the state ("migration", "user" …)."""

    uuid: str
    name: str
    kind: VEKind
    state: VEState
    reason: str = ""
    vcpus: int = 0
    memory_bytes: int = 0
    memory_max_bytes: int = 0
    autostart: bool = False
    persistent: bool = True
    title: str = ""
    os: str = ""
    arch: str = ""
    machine: str = ""
    virt: str = ""  # kvm, qemu (emulated), lxc, test
    disks: tuple[DiskFacts, ...] = ()
    nics: tuple[NicFacts, ...] = ()
    graphics: tuple[GraphicsFacts, ...] = ()
    cpu_mode: str = ""
    cpu_model: str = ""
    snapshots: int = 0
    managed_save: bool = False
    agent_configured: bool = False
    agent_connected: bool = False
    addresses: tuple[str, ...] = ()
    kernel: str = ""  # direct kernel boot: paths on the node
    initrd: str = ""
    host_devices: tuple[str, ...] = ()
    domain_id: int | None = None


@dataclass(frozen=True, slots=True)
class VEStatus:
    """State of one VE, cheap to ask for."""

    state: VEState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VESample:
    """Counters of one VE since its start.  None: the engine does not tell."""

    uuid: str
    name: str
    kind: VEKind
    state: VEState
    reason: str = ""
    cpu_ns: int | None = None
    memory_bytes: int | None = None  # what the VE may use now (balloon or limit)
    memory_used: int | None = None  # bytes: the guest's word, else QEMU's; a CT's cgroup's without page cache
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    disk_read_requests: int | None = None
    disk_write_requests: int | None = None
    net_rx_bytes: int | None = None  # received by the VE
    net_tx_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSample:
    """Counters of one node and its VEs at ``at`` (seconds of the caller's monotonic clock)."""

    at: float
    cpu_busy_ns: int | None
    cpu_idle_ns: int | None
    cpu_threads: int
    memory_total: int
    memory_free: int
    memory_buffers: int = 0
    memory_cached: int = 0
    ves: tuple[VESample, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """One look at a running migration.  ``percent`` never falls within one migration.

    Disks that are copied come first, then memory; totals and rates are of both together unless a name says otherwise.
    """

    percent: float = 0.0
    total_bytes: int = 0
    processed_bytes: int = 0
    remaining_bytes: int = 0
    rate_mib_s: float = 0.0
    iteration: int = 0  # 0 until memory is copied
    dirty_pages_s: int = 0  # known from the second iteration on
    page_bytes: int = 4096
    memory_total_bytes: int = 0
    memory_remaining_bytes: int = 0
    memory_rate_mib_s: float = 0.0
    throttle_percent: int = 0  # how much auto-converge slows the guest down
    disk_total_bytes: int = 0
    disk_processed_bytes: int = 0
    disk_remaining_bytes: int = 0
    expected_downtime_ms: int = 0
    downtime_ms: int = 0  # the real one, known at the end
    elapsed_ms: int = 0


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something happened to a VE.

    ``kind`` is lifecycle, reboot, io-error, migration-iteration, job-completed, agent, device, tray or watchdog.
    For lifecycle ``detail`` is defined, undefined, started, suspended, resumed, stopped, shutdown,
    pmsuspended or crashed, ``reason`` what libvirt adds ("migrated", "destroyed" …); ``code`` is libvirt's number.
    """

    uuid: str
    name: str
    ve_kind: VEKind
    kind: str
    detail: str = ""
    reason: str = ""
    code: int = 0
    progress: MigrationProgress | None = None


@dataclass(frozen=True, slots=True)
class CpuVerdict:
    """Result of libvirt's own CPU comparison on the target."""

    compatible: bool
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleEndpoint:
    """Where a VM's display listens on its node: a unix socket, or a port of the node's loopback.

    A text console ("serial" of a VM, "console" of a container) has no address: ``text_console.open_text`` opens it.
    """

    type: str  # vnc, serial, console
    socket: str = ""
    host: str = ""
    port: int = 0

    @property
    def exposed(self) -> bool:
        """Whether other machines may connect to it without the panel."""
        return self.type == "vnc" and not self.socket and self.host not in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Screenshot:
    """A picture of the display as the engine gives it: image/x-portable-pixmap or image/png."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class GuestResult:
    """A command that ran inside the guest."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class HostKey:
    """A server's SSH key: ``line`` as in a public key file (type and base64), ``fingerprint`` like "SHA256:…"."""

    line: str
    fingerprint: str
    type: str


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran on a node."""

    stdout: bytes
    stderr: bytes
    code: int
    truncated: bool = False

    @property
    def text(self) -> str:
        """stdout as text; what is not UTF-8 is replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def complaint(self) -> str:
        """The last line of stderr, which is where commands say why they ended; "exit 3" without one."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit {self.code}"
