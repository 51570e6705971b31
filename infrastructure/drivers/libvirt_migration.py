"""Peer-to-peer live migration: the two libvirtds do it between them, over TLS, and go on when the panel dies."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import libvirt

from infrastructure.drivers import deadlines, libvirt_jobs
from infrastructure.drivers.base import Endpoint, remaining
from infrastructure.drivers.errors import Conflict, DriverError, NotFound, NotSupported, TimedOut, Unreachable
from infrastructure.drivers.facts import CpuVerdict, DomainEvent, MigrationProgress, VEKind, VEState
from infrastructure.drivers.libvirt_answers import status
from infrastructure.drivers.libvirt_cpu import compare, requirement
from infrastructure.drivers.libvirt_errors import CONNECTION_LOST, broken_link, is_code
from infrastructure.drivers.libvirt_inventory import lookup
from infrastructure.drivers.libvirt_link import Link
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.uris import data_uri, peer_uri

POLL_SECONDS = 0.25
ABORT_SECONDS = 60.0
# How long the job-completed event, which tells the real downtime, may come after the call's return.
EVENT_SECONDS = 0.5

OnProgress = Callable[[MigrationProgress], None]


@dataclass(frozen=True, slots=True)
class _Options:
    live: bool
    unsafe: bool
    bandwidth_mib: int
    max_downtime_ms: int
    auto_converge: bool
    copy_disks: tuple[str, ...]


class LibvirtMigrator:
    """The Migrator protocol."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def cpu_requirement(self, uuid: str) -> str:
        return self._vms(uuid).call(lambda conn: requirement(conn, lookup(conn, uuid)), doing="describe the VE's CPU")

    def check_cpu(self, xml: str) -> CpuVerdict:
        link = self._links.of(VEKind.VM)
        if link is None:
            raise NotSupported(f"{self._links.endpoint.name} runs no virtual machines", code="no-driver")
        return link.call(lambda conn: compare(conn, xml), doing="compare the CPU")

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
        on_progress: OnProgress | None = None,
    ) -> MigrationProgress:
        link = self._vms(uuid)
        options = _Options(live, unsafe, bandwidth_mib, max_downtime_ms, auto_converge, tuple(copy_disks))
        target, data = peer_uri(dest), data_uri(dest)
        finished: list[MigrationProgress] = []

        def on_event(event: DomainEvent) -> None:
            if event.uuid == uuid and event.progress is not None:
                finished.append(event.progress)

        # Of its own: the call lasts as long as the migration, and the job is watched and aborted meanwhile.
        own = link.separate()
        hub = self._links.hub(link.kind)
        listener = hub.add(on_event, lambda _reason: None)
        try:
            job = own.begin(
                lambda conn: _migrate(conn, uuid, target, data, options), seconds=remaining(), doing="migrate the VE"
            )
            last = self._follow(link, uuid, job, on_progress)
            return _final(last, finished)
        except DriverError as error:
            raise _explained(error, link.endpoint, dest) from error.__cause__
        finally:
            hub.remove(listener)
            own.drop()

    def progress(self, uuid: str) -> MigrationProgress | None:
        try:
            link = self._links.holding(uuid)
            if link.kind is VEKind.CT:
                return None
            return link.call(lambda conn: libvirt_jobs.running(lookup(conn, uuid)), doing="tell its progress")
        except NotFound:
            return None  # it has left this node

    def last_job(self, uuid: str) -> MigrationProgress | None:
        return self._vms(uuid).call(lambda conn: libvirt_jobs.completed(lookup(conn, uuid)), doing="tell its last job")

    def max_downtime(self, uuid: str) -> int:
        return self._vms(uuid).call(
            lambda conn: int(lookup(conn, uuid).migrateGetMaxDowntime()), doing="tell its pause"
        )

    def set_max_downtime(self, uuid: str, milliseconds: int) -> None:
        self._vms(uuid).call(
            lambda conn: lookup(conn, uuid).migrateSetMaxDowntime(milliseconds), doing="set its longest pause"
        )

    def abort(self, uuid: str) -> bool:
        try:
            return self._vms(uuid).call(lambda conn: _abort(lookup(conn, uuid)), doing="abort the job")
        except NotFound:
            return False

    def _vms(self, uuid: str) -> Link:
        link = self._links.holding(uuid)
        if link.kind is VEKind.CT:
            raise NotSupported(
                "libvirt cannot migrate a container",
                code="ct-migration",
                advice="Stop the container and move it.",
            )
        return link

    def _follow(
        self, link: Link, uuid: str, job: deadlines.Job[None], on_progress: OnProgress | None
    ) -> MigrationProgress:
        last = MigrationProgress()
        while True:
            try:
                job.wait(POLL_SECONDS)
            except deadlines.Overrun:
                pass
            else:
                return last
            seen = self.progress(uuid)
            if seen is None:
                continue  # not begun yet, or just ended
            last = replace(seen, percent=max(last.percent, seen.percent))
            if on_progress is None:
                continue
            try:
                on_progress(last)
            except Exception as stop:
                self._stop(link, uuid, job, stop)
                return last

    def _stop(self, link: Link, uuid: str, job: deadlines.Job[None], stop: Exception) -> None:
        """Abort and raise ``stop``; return when the engine had finished before."""
        end = time.monotonic() + ABORT_SECONDS
        while time.monotonic() < end:
            # Again and again: an abort is lost while the job is not yet in a phase that can be aborted.
            self.abort(uuid)
            try:
                job.wait(POLL_SECONDS)
            except deadlines.Overrun:
                continue
            except DriverError:
                raise stop from None
            return
        raise TimedOut(
            f"libvirtd on {link.endpoint.name} did not abort the migration within {ABORT_SECONDS:.0f} s",
            code="abort-timeout",
            advice="Look where the VE runs; virsh domjobabort on the node ends the job.",
        ) from stop


def flags_of(*, running: bool, live: bool, unsafe: bool, auto_converge: bool, copy_disks: bool = False) -> int:
    """libvirt's migration flags for a VM that is defined on its target and gone from its source afterwards."""
    flags: int = libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    if not running:
        return flags | int(libvirt.VIR_MIGRATE_OFFLINE)
    flags |= libvirt.VIR_MIGRATE_TLS
    if live:
        flags |= libvirt.VIR_MIGRATE_LIVE
    if unsafe:
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    if auto_converge:
        flags |= libvirt.VIR_MIGRATE_AUTO_CONVERGE
    if copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
    return flags


def _migrate(connection: "libvirt.virConnect", uuid: str, target: str, data: str, options: _Options) -> None:
    domain = lookup(connection, uuid)
    running = status(domain).state is not VEState.STOPPED
    params: dict[str, str | int | list[str]] = {}
    if running:
        params[libvirt.VIR_MIGRATE_PARAM_URI] = data
        if options.bandwidth_mib:
            params[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = options.bandwidth_mib
        if options.max_downtime_ms:
            domain.migrateSetMaxDowntime(options.max_downtime_ms)
        if options.copy_disks:
            params[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(options.copy_disks)
    flags = flags_of(
        running=running,
        live=options.live,
        unsafe=options.unsafe,
        auto_converge=options.auto_converge,
        copy_disks=bool(options.copy_disks),
    )
    domain.migrateToURI3(target, params, flags)


def _abort(domain: "libvirt.virDomain") -> bool:
    try:
        domain.abortJob()
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_OPERATION_INVALID):
            return False  # no job is active
        raise
    return True


def _final(last: MigrationProgress, finished: list[MigrationProgress]) -> MigrationProgress:
    end = time.monotonic() + EVENT_SECONDS
    while not finished and time.monotonic() < end:
        time.sleep(0.01)
    result = finished[-1] if finished else last
    return replace(result, percent=100.0, remaining_bytes=0)


def _explained(error: DriverError, source: Endpoint, dest: Endpoint) -> DriverError:
    """Say which of the two nodes is meant, where libvirt's text does not."""
    if error.code != CONNECTION_LOST and error.__cause__ is not None and broken_link(error.__cause__):
        text = error.message.removeprefix(f"{source.name}: ")
        lost = "socket is closed" in text or "keepalive" in text
        return Unreachable(
            f"{source.name} lost libvirtd on {dest.name}, which was restarted, stopped or cut off"
            if lost
            else f"{source.name} cannot reach libvirtd on {dest.name}: {text}",
            code="peer-unreachable",
            advice=f"Check that {dest.name} is up, its certificate, and the network between the two nodes.",
        )
    if error.code == "VIR_ERR_OPERATION_INVALID" and "snapshot" in error.message:
        return Conflict(error.message, code="snapshots", advice="Delete the VE's snapshots first.")
    if error.code == CONNECTION_LOST:
        error.advice = "The nodes may still finish the migration; look where the VE runs before repeating it."
    return error.with_traceback(None)
