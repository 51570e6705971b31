"""A live migration's figures as the task page draws them."""

from infrastructure.drivers.base import MigrationProgress
from infrastructure.services.figures import MIB, duration
from infrastructure.services.migration import Plan
from tasks.runner import Step, TaskRun


class Shower:
    """Called with each look at the migration and the pause that is allowed now, milliseconds."""

    def __init__(self, run: TaskRun, step: Step, plan: Plan, *, copies_disks: bool) -> None:
        self._run = run
        self._copies_disks = copies_disks
        self._step = step
        self._memory = plan.ve.memory_bytes or 0
        self._percent = 0.0

    def __call__(self, seen: MigrationProgress, pause_ms: int) -> None:
        self._run.phase("Copy disks" if self._copies_disks and not seen.iteration else "Copy memory")
        self._percent = max(self._percent, self._share(seen))
        remaining = seen.remaining_bytes / MIB
        note = f"{remaining:,.0f} MiB left"
        if seen.rate_mib_s > 0:
            note += f", about {duration(remaining / seen.rate_mib_s)}"
        self._step.progress(
            self._percent,
            note,
            rate_mib=round(seen.rate_mib_s, 1),
            remaining_mib=round(remaining, 1),
            copied_mib=round(seen.processed_bytes / MIB, 1),
            total_mib=round(seen.total_bytes / MIB, 1),
            dirty_mib=round(seen.dirty_pages_s * seen.page_bytes / MIB, 1),
            expected_pause_ms=seen.expected_downtime_ms,
            pause_limit_ms=pause_ms,
            switch_below_mib=round(seen.memory_rate_mib_s * pause_ms / 1000, 1),
            iteration=seen.iteration,
            throttle_percent=seen.throttle_percent,
            elapsed_ms=seen.elapsed_ms,
            **_disk_figures(seen),
        )

    def _share(self, seen: MigrationProgress) -> float:
        """Per cent of disks and memory together; libvirt counts the memory in only when the disks are done."""
        if not seen.disk_total_bytes:
            return seen.percent
        memory = seen.memory_total_bytes or self._memory
        left = seen.disk_remaining_bytes + (seen.memory_remaining_bytes if seen.memory_total_bytes else memory)
        return min(99.9, 100.0 * (1 - left / (seen.disk_total_bytes + memory)))


def show_final(run: TaskRun, step: Step, last: MigrationProgress) -> None:
    """What it came to; the pause is the real one."""
    if not last.processed_bytes:
        return
    copied = f"{last.processed_bytes / MIB:,.1f} MiB copied in {last.elapsed_ms / 1000:.1f} s"
    pause = f"; the guest paused for {last.downtime_ms} ms" if last.downtime_ms else ""
    step.line(f"{copied}, {last.iteration} iterations{pause}")
    paused = f"paused for {last.downtime_ms} ms" if last.downtime_ms else ""
    run.phase_note("Switch over", paused.capitalize())
    step.progress(
        100,
        paused,
        rate_mib=round(last.rate_mib_s, 1),
        copied_mib=round(last.processed_bytes / MIB, 1),
        total_mib=round(last.total_bytes / MIB, 1),
        iteration=last.iteration,
        pause_ms=last.downtime_ms,
        elapsed_ms=last.elapsed_ms,
        **_disk_figures(last),
    )


def _disk_figures(seen: MigrationProgress) -> dict[str, float]:
    if not seen.disk_total_bytes:
        return {}
    return {
        "disk_copied_mib": round(seen.disk_processed_bytes / MIB, 1),
        "disk_total_mib": round(seen.disk_total_bytes / MIB, 1),
    }
