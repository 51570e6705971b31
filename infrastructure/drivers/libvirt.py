"""HostDriver on libvirt over mutual TLS, with SSH for what libvirt cannot tell."""

from collections.abc import Callable, Collection
from dataclasses import replace
from types import TracebackType
from typing import Self

from infrastructure.drivers.base import Endpoint, Outcome, ShutdownMode, remaining
from infrastructure.drivers.ct_usage import UsageReader
from infrastructure.drivers.errors import DriverError, NotSupported
from infrastructure.drivers.facts import (
    Capability,
    Completed,
    ConsoleEndpoint,
    CpuVerdict,
    DomainEvent,
    GuestResult,
    MigrationProgress,
    NodeFacts,
    NodeSample,
    Screenshot,
    VEFacts,
    VEKind,
    VEStatus,
)
from infrastructure.drivers.libvirt_agent import LibvirtAgent
from infrastructure.drivers.libvirt_console import LibvirtConsole
from infrastructure.drivers.libvirt_definitions import LibvirtDefinitions
from infrastructure.drivers.libvirt_events import LibvirtEvents, LibvirtSubscription
from infrastructure.drivers.libvirt_inventory import LibvirtInventory
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_migration import LibvirtMigrator
from infrastructure.drivers.libvirt_pools import LibvirtPools, PoolCalls
from infrastructure.drivers.libvirt_power import LibvirtPower
from infrastructure.drivers.libvirt_stats import LibvirtStats
from infrastructure.drivers.ssh_pipe import End, pipe
from infrastructure.drivers.ssh_sync import Ssh
from infrastructure.drivers.tls_probe import handshake

_QEMU = frozenset(
    {
        Capability.VM,
        Capability.EVENTS,
        Capability.VM_STATS,
        Capability.NODE_STATS,
        Capability.LIVE_MIGRATION,
        Capability.CPU_CHECK,
        Capability.CONSOLE,
        Capability.SCREENSHOT,
        Capability.GUEST_AGENT,
        Capability.ATTACH,
    }
)
_LXC = frozenset({Capability.CT, Capability.EVENTS, Capability.NODE_STATS})
_TEST = frozenset({Capability.VM, Capability.EVENTS})


class LibvirtDriver(PoolCalls):
    """One node.  Opens nothing until its first call; see the Protocols in ``base`` for what each call means."""

    def __init__(self, endpoint: Endpoint, ssh: Ssh) -> None:
        self._endpoint = endpoint
        self._ssh = ssh
        self._links = Links(endpoint)
        self._inventory = LibvirtInventory(self._links)
        by_ssh = (lambda argv: self.run(argv, deadline=15.0).text) if self._has_ssh else None
        self._power = LibvirtPower(self._links, by_ssh)
        self._migrator = LibvirtMigrator(self._links)
        self._definitions = LibvirtDefinitions(self._links)
        self._console = LibvirtConsole(self._links)
        self._pools = LibvirtPools(self._links)
        self._agent = LibvirtAgent(self._links)
        self._events = LibvirtEvents(self._links)
        reader = UsageReader(lambda argv: self.run(argv, deadline=5.0, check=False)) if self._has_ssh else None
        self._stats = LibvirtStats(self._links, reader)

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoint

    @property
    def _has_ssh(self) -> bool:
        return bool(self._endpoint.host_key and self._endpoint.ssh_key_path)

    def capabilities(self) -> frozenset[str]:
        """What this node can be asked.  Unreachable when it does not answer."""
        found: frozenset[str] = frozenset()
        for link in self._links.all():
            if self._endpoint.uri.startswith("test:"):
                found |= _TEST
            else:
                found |= _LXC if link.kind is VEKind.CT else _QEMU
        if self._has_ssh:
            found |= {Capability.HOST_COMMANDS}
            if Capability.CT in found:
                found |= {Capability.CT_STATS}
        return found

    # Inventory

    def facts(self) -> NodeFacts:
        facts = self._inventory.facts(self.capabilities())
        return replace(facts, kernel=self._kernel()) if self._has_ssh else facts

    def _kernel(self) -> str:
        """Its release; "" when SSH alone does not answer, for libvirt has told the rest."""
        try:
            return self.run(["uname", "-r"], deadline=5.0).text.strip()
        except DriverError:
            return ""

    def ves(self) -> tuple[VEFacts, ...]:
        return self._inventory.ves()

    def ve(self, uuid: str) -> VEFacts:
        return self._inventory.ve(uuid)

    def state(self, uuid: str) -> VEStatus:
        return self._inventory.state(uuid)

    def xml(self, uuid: str, *, inactive: bool = False) -> str:
        return self._inventory.xml(uuid, inactive=inactive)

    def addresses(self, uuid: str) -> tuple[str, ...]:
        return self._inventory.addresses(uuid)

    def stats(self) -> NodeSample:
        return self._stats.sample()

    # PowerControl

    def start(self, uuid: str) -> Outcome:
        return self._power.start(uuid)

    def shutdown(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        return self._power.shutdown(uuid, mode)

    def destroy(self, uuid: str) -> Outcome:
        return self._power.destroy(uuid)

    def reboot(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        return self._power.reboot(uuid, mode)

    def suspend(self, uuid: str) -> Outcome:
        return self._power.suspend(uuid)

    def resume(self, uuid: str) -> Outcome:
        return self._power.resume(uuid)

    def set_autostart(self, uuid: str, enabled: bool) -> Outcome:
        return self._power.set_autostart(uuid, enabled)

    # Migrator

    def cpu_requirement(self, uuid: str) -> str:
        return self._migrator.cpu_requirement(uuid)

    def check_cpu(self, xml: str) -> CpuVerdict:
        return self._migrator.check_cpu(xml)

    def migrate(
        self,
        uuid: str,
        dest: Endpoint,
        *,
        live: bool = True,
        unsafe: bool = False,
        bandwidth_mib: int = 0,
        max_downtime_ms: int = 0,
        auto_converge: bool = False,
        copy_disks: Collection[str] = (),
        on_progress: Callable[[MigrationProgress], None] | None = None,
    ) -> MigrationProgress:
        return self._migrator.migrate(
            uuid,
            dest,
            live=live,
            unsafe=unsafe,
            bandwidth_mib=bandwidth_mib,
            max_downtime_ms=max_downtime_ms,
            auto_converge=auto_converge,
            copy_disks=copy_disks,
            on_progress=on_progress,
        )

    def progress(self, uuid: str) -> MigrationProgress | None:
        return self._migrator.progress(uuid)

    def last_job(self, uuid: str) -> MigrationProgress | None:
        return self._migrator.last_job(uuid)

    def max_downtime(self, uuid: str) -> int:
        return self._migrator.max_downtime(uuid)

    def set_max_downtime(self, uuid: str, milliseconds: int) -> None:
        self._migrator.set_max_downtime(uuid, milliseconds)

    def abort(self, uuid: str) -> bool:
        return self._migrator.abort(uuid)

    def migrate_definition(self, uuid: str, dest: Endpoint) -> None:
        self._definitions.migrate_definition(uuid, dest)

    def saved_state(self, uuid: str) -> tuple[str, ...]:
        return self._definitions.saved_state(uuid)

    def definition(self, uuid: str) -> str:
        return self._definitions.definition(uuid)

    def define(self, kind: VEKind, xml: str) -> None:
        self._definitions.define(kind, xml)

    def undefine(self, uuid: str) -> Outcome:
        return self._definitions.undefine(uuid)

    # ConsoleSource, GuestAgent, EventSource

    def console(self, uuid: str) -> ConsoleEndpoint:
        return self._console.console(uuid)

    def text_console(self, uuid: str) -> ConsoleEndpoint:
        return self._console.text_console(uuid)

    def screenshot(self, uuid: str) -> Screenshot:
        return self._console.screenshot(uuid)

    def agent_ping(self, uuid: str) -> bool:
        return self._agent.agent_ping(uuid)

    def guest_run(self, uuid: str, argv: Collection[str], *, deadline: float = 10.0) -> GuestResult:
        return self._agent.guest_run(uuid, argv, deadline=deadline)

    def guest_read(self, uuid: str, path: str, *, limit: int = 1 << 20) -> bytes:
        return self._agent.guest_read(uuid, path, limit=limit)

    def subscribe(
        self, callback: Callable[[DomainEvent], None], on_close: Callable[[str], None] | None = None
    ) -> LibvirtSubscription:
        return self._events.subscribe(callback, on_close)

    # HostCommands

    def shown_certificate(self) -> bytes:
        return handshake(self._endpoint, remaining())[2]

    def run(
        self, argv: Collection[str], *, input: bytes | None = None, deadline: float = 20.0, check: bool = True
    ) -> Completed:
        self._require_ssh()
        return self._ssh.run(self._endpoint, argv, input=input, deadline=deadline, check=check)

    def read_file(self, path: str, *, limit: int = 1 << 20) -> bytes:
        self._require_ssh()
        return self._ssh.read_file(self._endpoint, path, limit=limit)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self._require_ssh()
        self._ssh.write_file(self._endpoint, path, data, mode=mode)

    def pipe_to(
        self,
        argv: Collection[str],
        dest: Endpoint,
        dest_argv: Collection[str],
        *,
        bytes_per_second: int = 0,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        self._require_ssh()
        ends = End(self._endpoint, tuple(argv)), End(dest, tuple(dest_argv))
        return pipe(self._ssh, *ends, bytes_per_second=bytes_per_second, on_bytes=on_bytes)

    def _require_ssh(self) -> None:
        if not self._has_ssh:
            raise NotSupported(
                f"{self._endpoint.name} has no pinned SSH host key",
                code="no-ssh",
                component="ssh",
                advice="Onboard the node.",
            )

    def close(self) -> None:
        self._links.drop()
        self._pools.drop()
        self._ssh.drop(self._endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
