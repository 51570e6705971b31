"""Live migration, peer-to-peer over TLS."""

import time
from collections.abc import Mapping
from typing import Any

from infrastructure.drivers.base import MigrationProgress
from infrastructure.models import Node
from infrastructure.services import equivalents, inventory, migration
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.figures import MIB, duration
from infrastructure.services.migration import Plan, Whereabouts
from infrastructure.services.preflight import Check
from tasks.choices import Level
from tasks.errors import JobFailed
from tasks.lanes import Lane
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

MIGRATIONS_A_NODE = 2
PAGE = 4096
RECOVER_SECONDS = 30.0  # how long a silent source is asked after a worker died
_LEVELS = {"warning": Level.WARNING, "failed": Level.ERROR, "unknown": Level.ERROR}


def lanes(params: Mapping[str, Any]) -> list[Lane]:
    """At most two migrations out of a node and two into it at once."""
    names = dict(Node.objects.filter(pk__in=[params["source_id"], params["target_id"]]).values_list("pk", "name"))
    source, target = params["source_id"], params["target_id"]
    limit = MIGRATIONS_A_NODE
    return [
        Lane(f"migrate-out:node:{source}", limit, f"{limit} migrations on {names.get(source, 'the source')}"),
        Lane(f"migrate-in:node:{target}", limit, f"{limit} migrations to {names.get(target, 'the target')}"),
    ]


def recover(run: TaskRun, **params: Any) -> Recovery:
    """After a worker died: has the VE arrived, is libvirt still moving it, or did it give up?"""
    plan = migration.plan(**params)
    found = _settled(plan)
    run.line(f"{found.words(plan)}{'; libvirt is still moving it' if found.moving else ''}")
    if found.stayed and _was_begun(run):
        return Recovery.failed(*_given_up(plan, found))
    return Recovery.resume()


@job(
    "ve.migrate",
    queue="migrate",
    title="Migrating Virtual Environment {ve}",
    permission="ve.migrate",
    lock="ve:{ve_id}",
    lanes=lanes,
    recover=recover,
    doing="being migrated",
)
def migrate(
    run: TaskRun,
    *,
    ve_id: int,
    source_id: int,
    target_id: int,
    live: bool = True,
    autostart: bool = False,
    bandwidth_mib: int = 0,
    max_downtime_ms: int = 300,
    auto_converge: bool = False,
) -> None:
    with run.step("Starting the process") as step:
        plan = migration.plan(
            ve_id=ve_id,
            source_id=source_id,
            target_id=target_id,
            live=live,
            autostart=autostart,
            bandwidth_mib=bandwidth_mib,
            max_downtime_ms=max_downtime_ms,
            auto_converge=auto_converge,
        )
        step.line(f"{plan.ve}: {plan.source} → {plan.target}, {'live' if live else 'paused while it moves'}")
    with run.step(f"Checking {plan.target}") as step:
        shared_by_proof = _check(run, step, plan)
    with run.step(f"Migrate Virtual Environment {plan.ve}") as step:
        run.undo("ve.migrate.abort", ve_id=ve_id, source_id=source_id, target_id=target_id, autostart=autostart)
        last = _move(run, step, plan, shared_by_proof=shared_by_proof)
    with run.step("Recording the new placement") as step:
        starts_with_it = migration.commit(plan)
        _show_migrating(run, plan, None)
        step.line(f"{plan.ve} is on {plan.target}{', and starts with it' if starts_with_it else ''}")
    with run.step("Completing the process") as step:
        found = migration.verify(plan)
        if found.source_silent:
            run.warn(
                f"{found.words(plan)}, so whether it has let go of {plan.ve} could not be asked"
                f"{f'; {plan.ve} does not start with {plan.target} until its autostart is set' if autostart else ''}."
            )
        else:
            step.line(f"{found.words(plan)}, and {plan.source} no longer has it")
        if last is not None and last.elapsed_ms:
            step.line(f"The move took {duration(last.elapsed_ms / 1000)}")


@undo("ve.migrate.abort")
def abort(run: TaskRun, *, ve_id: int, source_id: int, target_id: int, autostart: bool = False) -> None:
    """Abort what libvirt may still be doing, and record where the VE is; it may have arrived just before."""
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id, autostart=autostart)
    try:
        run.command(equivalents.virsh(plan.ve, plan.source, "domjobabort"))
        found = migration.abort(plan)
        run.line(found.words(plan))
        migration.restore_autostart(plan, found)
        migration.record_whereabouts(plan, found)
    finally:
        _show_migrating(run, plan, None)


def _check(run: TaskRun, step: Step, plan: Plan) -> bool | None:
    """Whether the disks were proved to be shared; None when there was a move already, which is not checked again."""
    found = migration.locate(plan)
    if found.stayed and _was_begun(run):  # it was still under way when it was recovered
        raise JobFailed(*_given_up(plan, found))
    if found.arrived or found.moving:
        step.already_done(f"{found.words(plan)}; a move under way is not checked again")
        return None
    passed = 0

    def tell(check: Check) -> None:
        nonlocal passed
        passed += check.state in ("passed", "warning")
        step.line(f"{check.title}: {check.text}", _LEVELS.get(check.state, Level.INFO))

    try:
        return migration.check(plan, tell)
    finally:
        step.note(f"{passed} passed")


def _move(run: TaskRun, step: Step, plan: Plan, *, shared_by_proof: bool | None) -> MigrationProgress | None:
    step.line(f'Operation with the Virtual Machine "{plan.ve}" is started')
    step.line(f'migrating "{plan.ve}" from "{plan.source}" to "{plan.target}"')
    found = migration.locate(plan)
    if found.stayed and shared_by_proof is not None:
        step.command(_command(plan, found, shared_by_proof=shared_by_proof))
        if shared_by_proof:
            step.line(
                "libvirt does not know the disks' folder as shared; that it is was proved by the check of the disks"
            )
    _show_migrating(run, plan, plan.target)
    step.line("Migrating virtual machine")
    try:
        last = migration.execute(
            plan, shared_by_proof=shared_by_proof, on_progress=lambda seen: _show(step, seen), tell=step.line
        )
    except Exception:
        _show_migrating(run, plan, None)
        raise
    run.point_of_no_return()
    if last is not None:
        _show_final(step, last)
    step.line(f'Operation with the Virtual Machine "{plan.ve}" is finished')
    return last


def _command(plan: Plan, found: Whereabouts, *, shared_by_proof: bool) -> list[str]:
    return equivalents.migrate(
        plan.ve,
        plan.source,
        endpoint_for(plan.target),
        running=found.source is not None and found.source.state != "stopped",
        live=plan.live,
        unsafe=shared_by_proof,
        bandwidth_mib=plan.options.bandwidth_mib,
        auto_converge=plan.options.auto_converge,
    )


def _show(step: Step, seen: MigrationProgress) -> None:
    remaining = seen.remaining_bytes / MIB
    note = f"{remaining:,.0f} MiB left"
    if seen.rate_mib_s > 0:
        note += f", about {duration(remaining / seen.rate_mib_s)}"
    step.progress(
        seen.percent,
        note,
        rate_mib=round(seen.rate_mib_s, 1),
        remaining_mib=round(remaining, 1),
        copied_mib=round(seen.processed_bytes / MIB, 1),
        total_mib=round(seen.total_bytes / MIB, 1),
        dirty_mib=round(seen.dirty_pages_s * PAGE / MIB, 1),
        expected_pause_ms=seen.expected_downtime_ms,
        iteration=seen.iteration,
        elapsed_ms=seen.elapsed_ms,
    )


def _show_final(step: Step, last: MigrationProgress) -> None:
    if not last.processed_bytes:
        return
    copied = f"{last.processed_bytes / MIB:,.1f} MiB copied in {last.elapsed_ms / 1000:.1f} s"
    pause = f"; the guest paused for {last.downtime_ms} ms" if last.downtime_ms else ""
    step.line(f"{copied}, {last.iteration} iterations{pause}")
    step.progress(
        100,
        f"paused for {last.downtime_ms} ms" if last.downtime_ms else "",
        rate_mib=round(last.rate_mib_s, 1),
        copied_mib=round(last.processed_bytes / MIB, 1),
        total_mib=round(last.total_bytes / MIB, 1),
        iteration=last.iteration,
        pause_ms=last.downtime_ms,
        elapsed_ms=last.elapsed_ms,
    )


def _show_migrating(run: TaskRun, plan: Plan, target: Node | None) -> None:
    with run.atomic():  # an attempt that is over must not change what another one shows
        inventory.set_migrating(plan.ve, target)


def _settled(plan: Plan) -> Whereabouts:
    """Where it is, once the source answers and what was between two states is over; the last answer after a while."""
    end = time.monotonic() + RECOVER_SECONDS
    while True:
        found = migration.locate(plan)
        if found.stayed:
            found = migration.locate(plan)  # a job that a dead worker just asked for begins a moment later
        if found.stayed or found.moving or found.arrived or time.monotonic() > end:
            return found
        time.sleep(1)


def _was_begun(run: TaskRun) -> bool:
    """Whether one of the attempts whose workers died came as far as the step that moves the VE."""
    lost = run.task.steps.filter(
        attempt__gte=run.attempt - run.task.recoveries, attempt__lt=run.attempt, undo_name="ve.migrate.abort"
    )
    return bool(run.task.recovering and lost.exists())


def _given_up(plan: Plan, found: Whereabouts) -> tuple[str, str]:
    """What is said when a lost worker's migration is over and the VE did not move. It is not begun again unasked."""
    return f"The worker was lost and libvirt aborted the migration; {found.words(plan)}.", "Retry the task."
