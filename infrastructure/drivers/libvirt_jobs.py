"""Figures of migration jobs: running, completed, or delivered by the job-completed event."""

from collections.abc import Mapping

import libvirt

from infrastructure.drivers.facts import MigrationProgress
from infrastructure.drivers.libvirt_errors import is_code

_NONE = (libvirt.VIR_DOMAIN_JOB_NONE,)
_MIGRATIONS = (libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)


def running(domain: "libvirt.virDomain") -> MigrationProgress | None:
    """The migration under way, None without one."""
    return _ask(domain, 0)


def completed(domain: "libvirt.virDomain") -> MigrationProgress | None:
    """The last finished migration, kept for later readers; None when the engine remembers none."""
    return _ask(domain, libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED)


def progress_of(stats: Mapping[str, int], *, final: bool) -> MigrationProgress:
    """Translate libvirt's typed parameters.  ``downtime`` is an expectation until the job has ended."""
    total = stats.get(libvirt.VIR_DOMAIN_JOB_DATA_TOTAL, 0)
    remaining = stats.get(libvirt.VIR_DOMAIN_JOB_DATA_REMAINING, 0)
    downtime = stats.get(libvirt.VIR_DOMAIN_JOB_DOWNTIME, 0)
    percent = 100.0 * (total - remaining) / total if total else 0.0
    memory_rate = stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_BPS, 0) / 2**20
    disk_rate = stats.get(libvirt.VIR_DOMAIN_JOB_DISK_BPS, 0) / 2**20
    return MigrationProgress(
        percent=100.0 if final else min(99.9, max(0.0, percent)),
        total_bytes=total,
        processed_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_DATA_PROCESSED, 0),
        remaining_bytes=remaining,
        rate_mib_s=memory_rate + disk_rate,
        iteration=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_ITERATION, 0),
        dirty_pages_s=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, 0),
        page_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, 4096),
        memory_total_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL, 0),
        memory_remaining_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_REMAINING, 0),
        memory_rate_mib_s=memory_rate,
        throttle_percent=stats.get(libvirt.VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, 0),
        disk_total_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_DISK_TOTAL, 0),
        disk_processed_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_DISK_PROCESSED, 0),
        disk_remaining_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_DISK_REMAINING, 0),
        expected_downtime_ms=0 if final else downtime,
        downtime_ms=downtime if final else 0,
        elapsed_ms=stats.get(libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED, 0),
    )


def _ask(domain: "libvirt.virDomain", flags: int) -> MigrationProgress | None:
    try:
        stats = domain.jobStats(flags)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_SUPPORT):
            return None
        raise
    if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) in _NONE:
        return None
    if stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION, _MIGRATIONS[1]) not in _MIGRATIONS:
        return None
    return progress_of(stats, final=bool(flags))
