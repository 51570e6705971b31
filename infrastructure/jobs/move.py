"""Offline migration: a VE is shut down, moved and started again; the only way for a container."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infrastructure.choices import Kind
from infrastructure.drivers.base import DriverError, VEState
from infrastructure.jobs.moving import (
    begun_before,
    both_nodes,
    check,
    check_right,
    lanes,
    latest,
    left_behind,
    on_bytes,
    settle_sources,
    show_migrating,
)
from infrastructure.services import equivalents, migration
from infrastructure.services.figures import MIB, duration
from infrastructure.services.migration import Plan, Whereabouts, disks, leftover, offline
from infrastructure.services.preflight import DiskCopy, used_bytes
from tasks.choices import Level, UndoState
from tasks.errors import JobFailed
from tasks.models import TaskStep
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

BACK, UNSTART = "ve.move.back", "ve.move.unstart"


@dataclass(slots=True)
class Cost:
    """What the move came to, seconds and bytes, as far as this attempt saw it; later estimates are made from it."""

    paused: float = 0.0
    copying: float = 0.0
    copied: int = 0

    @property
    def rate_mib(self) -> float:
        return self.copied / MIB / self.copying if self.copying else 0.0

    def figures(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.paused:
            found |= {"pause_ms": round(1000 * self.paused), "restart_ms": round(1000 * (self.paused - self.copying))}
        if self.copied:
            whole = round(self.copied / MIB, 1)
            found |= {"rate_mib": round(self.rate_mib, 1), "disk_copied_mib": whole, "disk_total_mib": whole}
        return found


def phases(params: Mapping[str, Any]) -> list[str]:
    return ["Prepare", "Shut down", *(["Copy disks"] if params["copy_disks"] else []), "Start", "Clean up"]


def recover(run: TaskRun, **params: Any) -> Recovery:
    """Each step asks the engines what is done already, so the job may simply run again."""
    plan = migration.plan(**params, live=False)
    run.line(migration.locate(plan).words(plan))
    return Recovery.resume()


@job(
    "ve.move",
    queue="migrate",
    title="Migrating Virtual Environment {ve}",
    permission="ve.migrate",
    lock="ve:{ve_id}",
    lanes=lanes,
    recover=recover,
    doing="being moved",
    shares=both_nodes,
    noun="migration",
    phases=phases,
    cancel_note="{ve} stays on {source} and is started there again if it ran. What was copied is deleted.",
)
def move(
    run: TaskRun,
    *,
    ve_id: int,
    source_id: int,
    target_id: int,
    autostart: bool = False,
    bandwidth_mib: int = 0,
    copy_disks: bool = False,
    delete_source: bool = False,
    force_off: bool = False,
) -> None:
    with run.step("Starting the process") as step:
        run.phase("Prepare")
        plan = migration.plan(
            ve_id=ve_id,
            source_id=source_id,
            target_id=target_id,
            live=False,
            autostart=autostart,
            bandwidth_mib=bandwidth_mib,
            copy_disks=copy_disks,
            delete_source=delete_source,
            force_off=force_off,
        )
        check_right(run, plan)
        step.line(f"{plan.ve}: {plan.source} → {plan.target}, offline")
    with run.step(f"Checking {plan.target}") as step:
        found, copies, restart = _check(run, step, plan)
    cost = Cost()
    with run.step(f"Migrate Virtual Environment {plan.ve}") as step:
        if _has_arrived(found, restart):
            step.already_done(found.words(plan))
        else:
            _move(run, step, plan, copies, restart, cost)
    run.phase("Clean up")
    with run.step("Recording the new placement") as step:
        found = _record(run, step, plan)
    with run.step("Completing the process") as step:
        _complete(run, step, plan, found, copies, cost)


@undo(BACK)
def back(
    run: TaskRun,
    *,
    ve_id: int,
    source_id: int,
    target_id: int,
    autostart: bool = False,
    restart: bool = False,
    copies: list[dict[str, Any]] | None = None,
) -> None:
    """Put the VE back on its source, and start it there if it ran; unless the target runs it."""
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id, live=False, autostart=autostart)
    unknown = TaskStep.objects.filter(task=run.task, undo_name=UNSTART, undo_state=UndoState.FAILED).exists()
    try:
        try:
            found = offline.take_back(
                plan, copies=disks.from_json(copies or []), restart=restart, may_run_there=unknown
            )
        except (JobFailed, DriverError):
            with run.atomic():
                leftover.expect(plan)
            raise
        run.line(found.words(plan))
        migration.record_whereabouts(plan, found)
    finally:
        show_migrating(run, plan, None)


@undo(UNSTART)
def unstart(run: TaskRun, *, ve_id: int, source_id: int, target_id: int) -> None:
    """Find out whether the target runs it, before anything is started on the source again."""
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id, live=False)
    run.line(offline.wait_for_answer(plan).words(plan))


def _has_arrived(found: Whereabouts, restart: bool) -> bool:
    return found.runs_on_target or (found.settled_on_target and not restart)


def _check(run: TaskRun, step: Step, plan: Plan) -> tuple[Whereabouts, tuple[DiskCopy, ...], bool]:
    """Where it is, which disks are copied, and whether it is to run again."""
    found = migration.locate(plan)
    before = begun_before(run, BACK)
    if before is not None:
        copies, restart = disks.from_json(before["copies"]), bool(before["restart"])
        if found.target is not None or (found.source is not None and found.source.state is VEState.STOPPED):
            step.already_done(f"{found.words(plan)}; a move under way is not checked again")
            return found, copies, restart
    elif found.runs_on_target or found.settled_on_target:
        step.already_done(found.words(plan))
        known = latest(run, BACK)
        return found, disks.from_json(known["copies"]) if known else (), found.runs_on_target
    args = before or left_behind(run, BACK)
    if args and not found.target_silent and found.source is not None:
        offline.clear_target(plan, found, disks.from_json(args["copies"]))
        step.line(f"{plan.target} has deleted what an earlier attempt left")
    checked = check(step, plan)
    found = migration.locate(plan)
    return found, checked.copies, found.source is not None and found.source.state is not VEState.STOPPED


def _move(run: TaskRun, step: Step, plan: Plan, copies: Sequence[DiskCopy], restart: bool, cost: Cost) -> None:
    kind = "Virtual Machine" if plan.ve.kind == Kind.VM else "Container"
    ids = {"ve_id": plan.ve.pk, "source_id": plan.source.pk, "target_id": plan.target.pk}
    step.line(f'Operation with the {kind} "{plan.ve}" is started')
    step.line(f'migrating "{plan.ve}" from "{plan.source}" to "{plan.target}"')
    run.undo(BACK, **ids, autostart=plan.autostart, restart=restart, copies=disks.to_json(copies))
    show_migrating(run, plan, plan.target)
    try:
        run.phase("Shut down")
        begun = time.monotonic()
        if restart:
            with run.step(f"Shutting {plan.ve} down") as inner:
                _shut_down(run, inner, plan)
        if copies:
            run.phase("Copy disks")
            with run.step(f"Copying its disks to {plan.target}") as inner:
                _copy(inner, plan, copies, cost)
        run.phase("Start")
        with run.step(f"Defining {plan.ve} on {plan.target}") as inner:
            _define(inner, plan)
        if restart:
            with run.step(f"Starting {plan.ve} on {plan.target}") as inner:
                run.undo(UNSTART, **ids)
                _start(inner, plan)
    except Exception:
        show_migrating(run, plan, None)
        raise
    run.point_of_no_return()
    cost.paused = time.monotonic() - begun if restart else 0.0
    step.line(f'Operation with the {kind} "{plan.ve}" is finished')


def _shut_down(run: TaskRun, step: Step, plan: Plan) -> None:
    if plan.source_driver.state(plan.uuid).state is VEState.STOPPED:
        step.already_done(f"{plan.ve} is stopped")
        return
    step.command(equivalents.virsh(plan.ve, plan.source, "shutdown"))
    step.line(f"The guest was asked; it has {offline.STOP_SECONDS:.0f} s")
    begun = time.monotonic()

    def wait(passed: float) -> None:
        left = offline.STOP_SECONDS - passed
        step.progress(100 * passed / offline.STOP_SECONDS, f"waiting for the guest, {left:.0f} s left")

    if offline.stop(plan, on_wait=wait, on_again=step.line):
        step.line(f"{plan.ve} shut down within {time.monotonic() - begun:.1f} s")
        return
    late = f"{plan.ve} still runs {offline.STOP_SECONDS:.0f} s after it was asked to shut down"
    if not plan.options.force_off:
        raise JobFailed(f"{late}; it was not moved.", "Shut it down from inside, or allow it to be forced off.")
    step.line(late, Level.WARNING)
    step.command(equivalents.virsh(plan.ve, plan.source, "destroy"))
    offline.force_off(plan)
    run.warn(f"{plan.ve} did not shut down by itself and was forced off.")


def _copy(step: Step, plan: Plan, copies: Sequence[DiskCopy], cost: Cost) -> None:
    whole, done = used_bytes(copies), 0
    begun = time.monotonic()
    for copy in copies:
        if disks.is_there(plan, copy):
            step.already_done(f"{plan.target} has {copy.path}")
        else:
            shown, since = on_bytes(step, done, whole), time.monotonic()
            disks.transfer(
                plan,
                copy,
                show=step.command,
                on_bytes=lambda moved, shown=shown, since=since: shown(moved, time.monotonic() - since),  # type: ignore[misc]
            )
        done += copy.used_bytes
    cost.copying, cost.copied = time.monotonic() - begun, whole
    step.line(f"{whole / MIB:,.1f} MiB copied in {cost.copying:.1f} s, {cost.rate_mib:,.0f} MiB/s")


def _define(step: Step, plan: Plan) -> None:
    found = migration.locate(plan)
    if found.source is None or found.source.state is not VEState.STOPPED:
        raise JobFailed(f"It cannot be moved now: {found.words(plan)}.", "Look at both nodes, then retry the task.")
    if found.target is not None:
        step.already_done(found.words(plan))
        return
    if found.target_silent:
        raise JobFailed(found.target_silent, f"Bring {plan.target} back and retry the task, or choose another node.")
    for argv in equivalents.move_definition(plan.ve, plan.source, plan.target):
        step.command(argv)
    offline.define(plan)
    step.line(f"{plan.target} has {plan.ve}")


def _start(step: Step, plan: Plan) -> None:
    step.command(equivalents.virsh(plan.ve, plan.target, "start"))
    offline.start(plan)
    step.line(f"{plan.ve} runs on {plan.target}")


def _record(run: TaskRun, step: Step, plan: Plan) -> Whereabouts:
    step.command(equivalents.virsh(plan.ve, plan.source, "undefine"))
    found = offline.let_go(plan)
    starts_with_it = migration.restore_autostart(plan, found)
    migration.record_whereabouts(plan, found)
    show_migrating(run, plan, None)
    step.line(f"{plan.ve} is on {plan.target}{', and starts with it' if starts_with_it else ''}")
    return found


def _complete(run: TaskRun, step: Step, plan: Plan, found: Whereabouts, copies: Sequence[DiskCopy], cost: Cost) -> None:
    if found.source_silent:
        run.warn(f"{found.words(plan)}, so {plan.source} still has a stopped copy: undefine it there when it is back.")
    else:
        step.line(f"{found.words(plan)}, and {plan.source} no longer has it")
    settle_sources(run, plan, copies, confirmed=found.settled_on_target)
    words = f"did not run for {duration(cost.paused)}" if cost.paused else ""
    if cost.paused:
        step.line(f"{plan.ve} {words}")
    step.progress(100, words, **cost.figures())
