"""Live migration, peer-to-peer over TLS."""

import time
from collections.abc import Mapping
from typing import Any

from infrastructure.drivers.base import MigrationProgress
from infrastructure.jobs import migration_figures as figures
from infrastructure.jobs.moving import (
    begun_before,
    both_nodes,
    check,
    check_right,
    clear_leftover,
    lanes,
    latest,
    left_behind,
    settle_sources,
    show_migrating,
)
from infrastructure.services import equivalents, migration
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.figures import duration
from infrastructure.services.migration import Checked, Plan, Whereabouts, disks, leftover
from infrastructure.services.preflight import DiskCopy
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

RECOVER_SECONDS = 30.0  # how long a silent source is asked after a worker died
ABORT, DISCARD = "ve.migrate.abort", "ve.migrate.discard"


def phases(params: Mapping[str, Any]) -> list[str]:
    return ["Prepare", *(["Copy disks"] if params["copy_disks"] else []), "Copy memory", "Switch over", "Clean up"]


def recover(run: TaskRun, **params: Any) -> Recovery:
    """After a worker died: has the VE arrived, is libvirt still moving it, or did it give up?"""
    plan = migration.plan(**params)
    found = _settled(plan)
    run.line(f"{found.words(plan)}{'; libvirt is still moving it' if found.moving else ''}")
    if found.stayed and begun_before(run, ABORT) is not None:
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
    shares=both_nodes,
    noun="migration",
    phases=phases,
    cancel_note="{ve} stays on {source}. What was copied is dropped.",
)
def migrate(
    run: TaskRun,
    *,
    ve_id: int,
    source_id: int,
    target_id: int,
    autostart: bool = False,
    bandwidth_mib: int = 0,
    max_downtime_ms: int = 300,
    auto_converge: bool = False,
    pause_limit_ms: int = 0,
    copy_disks: bool = False,
    delete_source: bool = False,
) -> None:
    with run.step("Starting the process") as step:
        run.phase("Prepare")
        plan = migration.plan(
            ve_id=ve_id,
            source_id=source_id,
            target_id=target_id,
            autostart=autostart,
            bandwidth_mib=bandwidth_mib,
            max_downtime_ms=max_downtime_ms,
            auto_converge=auto_converge,
            pause_limit_ms=pause_limit_ms,
            copy_disks=copy_disks,
            delete_source=delete_source,
        )
        check_right(run, plan)
        step.line(f"{plan.ve}: {plan.source} → {plan.target}, live")
    with run.step(f"Checking {plan.target}") as step:
        checked = _check(run, step, plan)
    copies = _prepare_disks(run, plan, checked) if copy_disks else ()
    with run.step(f"Migrate Virtual Environment {plan.ve}") as step:
        run.undo(ABORT, ve_id=ve_id, source_id=source_id, target_id=target_id, autostart=autostart)
        last = _move(run, step, plan, checked, copies_disks=bool(copies))
    with run.step("Recording the new placement") as step:
        starts_with_it = migration.commit(plan)
        show_migrating(run, plan, None)
        step.line(f"{plan.ve} is on {plan.target}{', and starts with it' if starts_with_it else ''}")
    with run.step("Completing the process") as step:
        _complete(run, step, plan, copies, last)


@undo(ABORT)
def abort(run: TaskRun, *, ve_id: int, source_id: int, target_id: int, autostart: bool = False) -> None:
    """Abort what libvirt may still be doing, and record where the VE is; it may have arrived just before."""
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id, autostart=autostart)
    try:
        run.command(equivalents.virsh(plan.ve, plan.source, "domjobabort"))
        found = migration.abort(plan)
        run.line(found.words(plan))
        if found.target_silent:
            with run.atomic():
                leftover.expect(plan)
        elif found.leftover:
            found = clear_leftover(run, plan)
        migration.restore_autostart(plan, found)
        migration.record_whereabouts(plan, found)
    finally:
        show_migrating(run, plan, None)


@undo(DISCARD)
def discard(
    run: TaskRun, *, ve_id: int, source_id: int, target_id: int, copies: list[dict[str, Any]] | None = None
) -> None:
    """Remove the unfinished copies from the target, if the VE stayed where it was."""
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id)
    made = disks.from_json(copies or [])
    paths = ", ".join(copy.path for copy in made)
    found = migration.locate(plan)
    if found.arrived or found.runs_on_target:
        run.line(f"{found.words(plan)}: its disks stay there")
        return
    if not found.stayed or found.target_silent:
        raise JobFailed(f"{found.words(plan)}, so {paths} may be left on {plan.target}.", "Retry the task to clear it.")
    run.command(["ssh", plan.target.name, "rm", "-rf", "--one-file-system", "--", *(copy.path for copy in made)])
    disks.discard(plan, made)
    run.line(f"{plan.target} has deleted the unfinished copies")


def _check(run: TaskRun, step: Step, plan: Plan) -> Checked | None:
    """What the checks found; None when there was a move already, which is not checked again."""
    found = migration.locate(plan)
    if found.leftover and leftover.expected(plan):
        found = clear_leftover(run, plan)
    if found.stayed and begun_before(run, ABORT) is not None:  # it was still under way when it was recovered
        raise JobFailed(*_given_up(plan, found))
    if found.arrived or found.moving:
        step.already_done(f"{found.words(plan)}; a move under way is not checked again")
        return None
    if found.stayed and not found.target_silent and (args := begun_before(run, DISCARD) or left_behind(run, DISCARD)):
        disks.discard(plan, disks.from_json(args["copies"]))
        step.line(f"{plan.target} has deleted what an earlier attempt left")
    return check(step, plan)


def _prepare_disks(run: TaskRun, plan: Plan, checked: Checked | None) -> tuple[DiskCopy, ...]:
    """The disks that are copied, with an empty image of each on the target."""
    if checked is None:
        known = latest(run, DISCARD)
        return disks.from_json(known["copies"]) if known else ()
    if not checked.copies:
        return ()
    with run.step(f"Preparing disks on {plan.target}") as step:
        ids = {"ve_id": plan.ve.pk, "source_id": plan.source.pk, "target_id": plan.target.pk}
        run.undo(DISCARD, **ids, copies=disks.to_json(checked.copies))
        for copy in checked.copies:
            disks.make_empty(plan, copy, show=step.command)
    return checked.copies


def _move(
    run: TaskRun, step: Step, plan: Plan, checked: Checked | None, *, copies_disks: bool
) -> MigrationProgress | None:
    step.line(f'Operation with the Virtual Machine "{plan.ve}" is started')
    step.line(f'migrating "{plan.ve}" from "{plan.source}" to "{plan.target}"')
    if checked is not None:
        step.command(_command(plan, checked))
        if checked.shared_by_proof:
            step.line(
                "libvirt does not know the disks' folder as shared; that it is was proved by the check of the disks"
            )
    show_migrating(run, plan, plan.target)
    step.line("Migrating virtual machine")
    shower = figures.Shower(run, step, plan, copies_disks=copies_disks)
    try:
        last = migration.execute(plan, checked=checked, on_look=shower, tell=step.line)
    except Exception:
        show_migrating(run, plan, None)
        raise
    run.point_of_no_return()
    run.phase("Clean up")
    if last is not None:
        figures.show_final(run, step, last)
    step.line(f'Operation with the Virtual Machine "{plan.ve}" is finished')
    return last


def _complete(
    run: TaskRun, step: Step, plan: Plan, copies: tuple[DiskCopy, ...], last: MigrationProgress | None
) -> None:
    found = migration.verify(plan)
    if found.source_silent:
        forgotten = f"; {plan.ve} does not start with {plan.target} until its autostart is set"
        run.warn(
            f"{found.words(plan)}, so whether it has let go of {plan.ve} could not be asked"
            f"{forgotten if plan.autostart else ''}."
        )
    else:
        step.line(f"{found.words(plan)}, and {plan.source} no longer has it")
    settle_sources(run, plan, copies, confirmed=found.settled_on_target)
    if last is not None and last.elapsed_ms:
        step.line(f"The move took {duration(last.elapsed_ms / 1000)}")


def _command(plan: Plan, checked: Checked) -> list[str]:
    return equivalents.migrate(
        plan.ve,
        plan.source,
        endpoint_for(plan.target),
        running=True,
        live=True,
        unsafe=checked.shared_by_proof,
        bandwidth_mib=plan.options.bandwidth_mib,
        auto_converge=plan.options.auto_converge,
        copy_disks=[copy.disk for copy in checked.copies],
    )


def _settled(plan: Plan) -> Whereabouts:
    """Where it is, once the source answers and what was between two states is over; the last answer after a while."""
    end = time.monotonic() + RECOVER_SECONDS
    while True:
        found = migration.locate(plan)
        if found.stayed:
            found = migration.locate(plan)  # a job that a dead worker just asked for begins a moment later
        if found.stayed or found.leftover or found.moving or found.arrived or time.monotonic() > end:
            return found
        time.sleep(1)


def _given_up(plan: Plan, found: Whereabouts) -> tuple[str, str]:
    """What is said when a lost worker's migration is over and the VE did not move. It is not begun again unasked."""
    return f"The worker was lost and libvirt aborted the migration; {found.words(plan)}.", "Retry the task."
