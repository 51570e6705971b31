"""Carrying a migration out. Every function asks the engines first, so that none is done twice."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from infrastructure.drivers.base import Aborted, DriverError, MigrationProgress, Unreachable
from infrastructure.models import VE
from infrastructure.services import inventory, preflight
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.figures import sentence
from infrastructure.services.migration.plan import Plan
from infrastructure.services.migration.steering import OnLook, Tell, allowed_pause, steering
from infrastructure.services.migration.whereabouts import Whereabouts, locate
from tasks.errors import JobFailed

POLL_SECONDS = 0.5
SETTLE_SECONDS = 15.0  # for the engines to agree after a link was lost; with their own keepalive it stays under 30
ABORT_SECONDS = 60.0
SILENT_SECONDS = 8.0  # for a source whose daemon is just starting again
# The source's daemon ended, or had not started again when it was asked about the job.
_DAEMON_AWAY = ("connection-lost", "connection-refused")
OnProgress = Callable[[MigrationProgress], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found out. shared_by_proof: the disks' folders were proved to be shared, though libvirt does not
    know them as such. copies: the disks that only the source has.
    """

    shared_by_proof: bool = False
    copies: tuple[preflight.DiskCopy, ...] = ()


def check(plan: Plan, on_result: Callable[[preflight.Check], None]) -> Checked:
    """Make the checks of the dialog again. JobFailed with the first one that rules the move out."""
    checks = preflight.run(
        plan.ve,
        plan.target,
        live=plan.live,
        copy_disks=plan.options.copy_disks,
        source=plan.source,
        on_result=on_result,
    )
    if blockers := preflight.blocking(checks):
        raise JobFailed(sentence(blockers[0].text), sentence(blockers[0].fix))
    return Checked(any(check.shared_by_proof for check in checks), preflight.copies_of(checks))


def execute(plan: Plan, *, checked: Checked | None, on_look: OnLook, tell: Tell) -> MigrationProgress | None:
    """Move the VE, or watch the move that is under way already, or find that it has arrived.

    checked: what `check` returned; only a proof overrules libvirt's objection to unknown storage. None: the checks were
    passed over because a move was under way; then no other one is begun.
    Returns the last figures where known. JobFailed with the cause and where the VE is; what `on_look` raises.
    """
    found = locate(plan)
    if found.arrived:
        tell(f"already done: {found.words(plan)}")
        return _last_job(plan)
    if found.moving:
        tell(f"{plan.source} is moving it already; that job is watched instead of starting another")
        follow = steering(plan, pause_ms=allowed_pause(plan), on_look=on_look, tell=tell)
        return _watch(plan, follow, cause="The move was begun before this attempt.")
    if found.stayed and checked is None:
        raise JobFailed(f"libvirt aborted the migration; {found.words(plan)}.", "Retry the task.")
    if not found.stayed or checked is None:
        raise JobFailed(f"It cannot be moved now: {found.words(plan)}.", "Look at both nodes, then retry the task.")
    follow = steering(plan, pause_ms=plan.options.max_downtime_ms, on_look=on_look, tell=tell)
    try:
        return _migrate(plan, checked, follow)
    except Unreachable as error:
        # The panel's link broke, or the one between the nodes: the engines may be going on.
        cause = sentence(error.message)
        if error.code in _DAEMON_AWAY:
            cause = f"libvirtd on {plan.source} was restarted or cut off from the panel."
        tell(cause)
        return _watch(plan, follow, cause=cause)
    except DriverError as error:
        raise _failed(plan, error) from error


def _migrate(plan: Plan, checked: Checked, on_progress: OnProgress) -> MigrationProgress:
    options = plan.options
    return plan.source_driver.migrate(
        plan.uuid,
        endpoint_for(plan.target),
        live=plan.live,
        unsafe=checked.shared_by_proof,
        bandwidth_mib=options.bandwidth_mib,
        max_downtime_ms=options.max_downtime_ms,
        auto_converge=options.auto_converge,
        copy_disks=[copy.disk for copy in checked.copies],
        on_progress=on_progress,
    )


def _watch(plan: Plan, on_progress: OnProgress, *, cause: str) -> MigrationProgress | None:
    """Follow a move that somebody started until both engines agree on its end."""
    last: MigrationProgress | None = None
    patience = time.monotonic() + SETTLE_SECONDS
    stayed = 0
    while True:
        found = locate(plan)
        if found.arrived:
            return _last_job(plan) or last
        stayed = stayed + 1 if found.stayed or found.leftover else 0
        # Twice, because a job ends a moment before the target's half is cleared away, and begins a moment after.
        if stayed >= 2:
            advice = f"Bring {plan.target} back and retry the task, or choose another node."
            raise JobFailed(
                f"{cause} libvirt aborted the migration; {found.words(plan)}.",
                advice if found.target_silent else "Retry the task.",
            )
        if found.job is not None:
            last = found.job
            patience = time.monotonic() + SETTLE_SECONDS
            on_progress(found.job)
        if time.monotonic() > patience:
            if found.runs_on_target:
                return last
            raise JobFailed(
                f"{cause} After {SETTLE_SECONDS:.0f} s: {found.words(plan)}.",
                f"When both nodes answer, look where {plan.ve} runs, then retry the task.",
            )
        time.sleep(POLL_SECONDS)


def _failed(plan: Plan, error: DriverError) -> JobFailed:
    """The engine's refusal with where the VE is now."""
    cause = "The job was aborted on the node." if isinstance(error, Aborted) else sentence(error.message)
    advice = sentence(error.advice) or "Remove the cause, then retry the task."
    return JobFailed(f"{cause} {locate(plan).words(plan)}.", advice)


def verify(plan: Plan) -> Whereabouts:
    """Both nodes asked: the VE is on the target and on no other. JobFailed when they do not agree on that in time.

    A source that does not answer cannot confirm it: then `source_silent` of the result says so.
    """
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        found = locate(plan)
        if found.settled_on_target or (found.source_silent and found.runs_on_target):
            return found
        if time.monotonic() > end:
            raise JobFailed(
                f"{plan.ve} is not on {plan.target} alone: {found.words(plan)}.",
                "Look at both nodes and stop or undefine the copy that is wrong.",
            )
        time.sleep(POLL_SECONDS)


def commit(plan: Plan) -> bool:
    """Give the VE its autostart flag again and read both nodes into the inventory; whether it has the flag.

    JobFailed when the VE is not on the target alone, or the inventory does not show it there.
    """
    found = verify(plan)
    flagged = restore_autostart(plan, found)
    record_whereabouts(plan, found)
    shown = VE.objects.select_related("node").get(pk=plan.ve.pk)
    if shown.node_id != plan.target.pk:
        raise JobFailed(f"The inventory shows {plan.ve} on {shown.node}, not on {plan.target}.", "Retry the task.")
    return flagged


def restore_autostart(plan: Plan, found: Whereabouts) -> bool:
    """Set the flag, which does not travel, once the source has forgotten the VE; whether it was set.

    Earlier, after a power cut, both nodes would start it.
    """
    if not (plan.autostart and found.settled_on_target):
        return False
    plan.target_driver.set_autostart(plan.uuid, True)
    return True


def abort(plan: Plan) -> Whereabouts:
    """Have libvirt abort the move, if one is under way, and wait until one node alone has the guest. Idempotent.

    DriverError of the source's refusal, JobFailed when it does not answer or the job does not end.
    """
    begun = time.monotonic()
    while True:
        found = locate(plan)
        if found.moving:
            plan.source_driver.abort(plan.uuid)
        elif found.stayed or found.leftover or found.arrived or found.runs_on_target:
            return found
        passed = time.monotonic() - begun
        if passed > ABORT_SECONDS or (found.source_silent and passed > SILENT_SECONDS):
            raise JobFailed(
                f"Whether the migration ended is not known after {passed:.0f} s: {found.words(plan)}.",
                f"When {plan.source} answers, end it there: virsh domjobabort {plan.ve}.",
            )
        time.sleep(POLL_SECONDS)


def record_whereabouts(plan: Plan, found: Whereabouts) -> None:
    """Read those of both nodes that answered into the inventory; the collector reads the other when it is back."""
    for node, silent in ((plan.target, found.target_silent), (plan.source, found.source_silent)):
        if not silent:
            inventory.refresh(node, plan.ve)


def _last_job(plan: Plan) -> MigrationProgress | None:
    try:
        return plan.target_driver.last_job(plan.uuid)
    except DriverError:
        return None  # only figures for the log
