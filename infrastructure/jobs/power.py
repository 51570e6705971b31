"""Starting, stopping and pausing a Virtual Environment. Each asks the engine first and verifies the end."""

from infrastructure.drivers.base import Outcome, VEState
from infrastructure.jobs.power_steps import Guest, find, its_node, record, tell, tell_past
from infrastructure.services.guest_stop import wait_until_stopped
from infrastructure.services.power import STOP_SECONDS
from tasks.choices import Level
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import Step, TaskRun


def recover(run: TaskRun, *, ve_id: int, force_after: int | None = None) -> Recovery:
    """Every one of these asks the engine before it acts, so it may simply run again."""
    return Recovery.resume()


@job(
    "ve.start",
    title="Starting {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being started",
)
def start(run: TaskRun, *, ve_id: int) -> None:
    guest = find(run, ve_id)
    with run.step(f"Starting {guest.ve} on {guest.node}") as step:
        step.command(guest.command("start"))
        outcome = guest.engine.start(guest.uuid)
        tell(step, outcome, f"{guest.ve} runs", already=(VEState.RUNNING, VEState.PAUSED), guest=guest)
    record(run, guest, VEState.RUNNING)


@job(
    "ve.stop",
    title="Stopping {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being stopped",
)
def stop(run: TaskRun, *, ve_id: int, force_after: int | None = None) -> None:
    guest = find(run, ve_id)
    patience = force_after or STOP_SECONDS
    with run.step(f"Shutting {guest.ve} down") as step:
        step.command(guest.command("shutdown"))
        outcome = guest.engine.shutdown(guest.uuid)
        if outcome is Outcome.ALREADY:
            step.already_done(f"{guest.ve} is stopped")
            stopped = True
        else:
            tell_past(step, outcome, guest)
            step.line(f"The guest was asked; it has {patience} s")
            stopped = _wait_for_stop(step, guest, patience)
        if stopped:
            step.line(f"{guest.ve} is stopped")
        elif force_after is None:
            raise JobFailed(
                f"{guest.ve} still runs {patience} s after it was asked to shut down.",
                "Shut it down from inside, or use Force off: it loses what it has not written.",
            )
        else:
            step.line(f"{guest.ve} still runs after {patience} s", Level.WARNING)
    if not stopped:
        with run.step(f"Forcing {guest.ve} off") as step:
            step.command(guest.command("destroy"))
            guest.engine.destroy(guest.uuid)
            run.warn(f"{guest.ve} did not shut down by itself within {patience} s and was forced off.")
    record(run, guest, VEState.STOPPED)


@job(
    "ve.force_off",
    title="Forcing {ve} off",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being forced off",
)
def force_off(run: TaskRun, *, ve_id: int) -> None:
    guest = find(run, ve_id)
    with run.step(f"Cutting the power of {guest.ve}") as step:
        step.command(guest.command("destroy"))
        tell(step, guest.engine.destroy(guest.uuid), f"{guest.ve} is off", already=(VEState.STOPPED,), guest=guest)
    record(run, guest, VEState.STOPPED)


@job(
    "ve.pause",
    title="Pausing {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being paused",
)
def pause(run: TaskRun, *, ve_id: int) -> None:
    guest = find(run, ve_id)
    with run.step(f"Pausing {guest.ve}") as step:
        step.command(guest.command("suspend"))
        outcome = guest.engine.suspend(guest.uuid)
        tell(step, outcome, f"{guest.ve} is paused", already=(VEState.PAUSED,), guest=guest)
    record(run, guest, VEState.PAUSED)


@job(
    "ve.resume",
    title="Resuming {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being resumed",
)
def resume(run: TaskRun, *, ve_id: int) -> None:
    guest = find(run, ve_id)
    with run.step(f"Resuming {guest.ve}") as step:
        step.command(guest.command("resume"))
        outcome = guest.engine.resume(guest.uuid)
        tell(step, outcome, f"{guest.ve} runs", already=(VEState.RUNNING,), guest=guest)
    record(run, guest, VEState.RUNNING)


def _wait_for_stop(step: Step, guest: Guest, seconds: float) -> bool:
    def wait(passed: float) -> None:
        step.progress(100 * passed / seconds, f"waiting for the guest, {seconds - passed:.0f} s left")

    return wait_until_stopped(guest.engine, guest.uuid, seconds, on_wait=wait, on_again=step.line)
