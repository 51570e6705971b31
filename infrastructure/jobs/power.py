"""Starting, stopping, restarting and pausing a Virtual Environment. Each asks the engine first and verifies the end."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from infrastructure.drivers.base import Conflict, HostDriver, NotFound, Outcome, Unreachable, VEState
from infrastructure.models import VE, Node
from infrastructure.services import equivalents, inventory
from infrastructure.services.endpoints import driver
from infrastructure.services.guest_stop import wait_until_stopped
from infrastructure.services.power import STOP_SECONDS
from tasks.choices import Level
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import Step, TaskRun

LOOK_EVERY = 0.5
SETTLE_SECONDS = 15.0  # from the engine's answer to the state it promised
RESTART_SECONDS = 30.0
AGAIN_SECONDS = 10.0  # a container whose init was not ready for the signal is asked a second time
DOWN_SECONDS = 3.0  # longer than a guest is down between its end and its start by the engine


@dataclass(frozen=True)
class Guest:
    """A VE on the node that has it now."""

    ve: VE
    node: Node
    engine: HostDriver

    @property
    def uuid(self) -> str:
        return str(self.ve.uuid)

    def state(self) -> VEState:
        return self.engine.state(self.uuid).state

    def command(self, verb: str, *options: str) -> list[str]:
        return equivalents.virsh(self.ve, self.node, verb, *options)


def its_node(params: Mapping[str, Any]) -> list[str]:
    """libvirtd of this node must answer: nothing is done to the node as a whole meanwhile."""
    return [
        f"node:{pk}" for pk in VE.objects.filter(pk=params["ve_id"], node__isnull=False).values_list("node", flat=True)
    ]


def recover(run: TaskRun, *, ve_id: int, force_after: int | None = None) -> Recovery:
    """Every one of these asks the engine before it acts, so it may simply run again."""
    return Recovery.resume()


def recover_restart(run: TaskRun, *, ve_id: int) -> Recovery:
    """A restart leaves no trace that tells whether it happened: it is not repeated behind the admin's back."""
    return Recovery.failed(
        "The worker was lost while the guest was asked to restart; whether it did is not known.",
        "Look at its console, and restart it again if it did not.",
    )


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
    guest = _find(run, ve_id)
    with run.step(f"Starting {guest.ve} on {guest.node}") as step:
        step.command(guest.command("start"))
        outcome = guest.engine.start(guest.uuid)
        _tell(step, outcome, f"{guest.ve} runs", already=(VEState.RUNNING, VEState.PAUSED), guest=guest)
    _record(run, guest, VEState.RUNNING)


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
    guest = _find(run, ve_id)
    patience = force_after or STOP_SECONDS
    with run.step(f"Shutting {guest.ve} down") as step:
        step.command(guest.command("shutdown"))
        outcome = guest.engine.shutdown(guest.uuid)
        if outcome is Outcome.ALREADY:
            step.already_done(f"{guest.ve} is stopped")
            stopped = True
        else:
            _tell_past(step, outcome, guest)
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
    _record(run, guest, VEState.STOPPED)


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
    guest = _find(run, ve_id)
    with run.step(f"Cutting the power of {guest.ve}") as step:
        step.command(guest.command("destroy"))
        _tell(step, guest.engine.destroy(guest.uuid), f"{guest.ve} is off", already=(VEState.STOPPED,), guest=guest)
    _record(run, guest, VEState.STOPPED)


@job(
    "ve.restart",
    title="Restarting {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover_restart,
    shares=its_node,
    doing="being restarted",
)
def restart(run: TaskRun, *, ve_id: int) -> None:
    guest = _find(run, ve_id)
    with run.step(f"Asking {guest.ve} to restart") as step:
        step.command(guest.command("reboot"))
        seen = _Reboots(guest)
        try:
            _tell_past(step, guest.engine.reboot(guest.uuid), guest)
            step.line("The guest was asked to restart")
            ended = _wait_for_restart(step, guest, seen) or seen.is_down()
        finally:
            seen.close()
        if not ended:
            raise JobFailed(
                f"{guest.ve} did not restart within {RESTART_SECONDS:.0f} s after it was asked to.",
                "Restart it from inside, or use Force off and Start: it loses what it has not written.",
            )
        step.line(f"{guest.ve} shut down and was not started again" if seen.stays_down else f"{guest.ve} restarted")
    if seen.stays_down:
        with run.step(f"Starting {guest.ve} on {guest.node}") as step:
            step.command(guest.command("start"))
            guest.engine.start(guest.uuid)
            step.line(f"{guest.ve} runs")
    _record(run, guest, VEState.RUNNING)


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
    guest = _find(run, ve_id)
    with run.step(f"Pausing {guest.ve}") as step:
        step.command(guest.command("suspend"))
        outcome = guest.engine.suspend(guest.uuid)
        _tell(step, outcome, f"{guest.ve} is paused", already=(VEState.PAUSED,), guest=guest)
    _record(run, guest, VEState.PAUSED)


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
    guest = _find(run, ve_id)
    with run.step(f"Resuming {guest.ve}") as step:
        step.command(guest.command("resume"))
        outcome = guest.engine.resume(guest.uuid)
        _tell(step, outcome, f"{guest.ve} runs", already=(VEState.RUNNING,), guest=guest)
    _record(run, guest, VEState.RUNNING)


def _wait_for_restart(step: Step, guest: Guest, seen: "_Reboots") -> bool:
    """True when the guest restarted or is down for good."""
    words = "waiting for the guest to go down"
    if guest.ve.is_vm:
        return _poll(step, seen.happened, RESTART_SECONDS, words)
    if _poll(step, seen.happened, AGAIN_SECONDS, words):
        return True
    # The kernel drops a signal that the init of a container does not handle yet.
    with suppress(Conflict, NotFound, Unreachable):  # it goes down at this moment
        guest.engine.reboot(guest.uuid)
        step.line(f"It has not gone down within {AGAIN_SECONDS:.0f} s and was asked once more")
    return _poll(step, seen.happened, RESTART_SECONDS - AGAIN_SECONDS, words)


class _Reboots:
    """Whether the guest restarted, by the engine's own event; for a CT, which tells none, by its new domain id.

    A guest may end and not come back: by its own setting (on_reboot), or because the engine could not start it.
    """

    def __init__(self, guest: Guest) -> None:
        self.stays_down = False
        self._down_since: float | None = None
        self._guest = guest
        self._seen = False
        self._before = guest.engine.ve(guest.uuid).domain_id
        self._subscription = guest.engine.subscribe(self._note)

    def _note(self, event: object) -> None:
        if getattr(event, "uuid", "") == self._guest.uuid and getattr(event, "kind", "") == "reboot":
            self._seen = True

    def happened(self) -> bool:
        if self._seen:
            return True
        try:
            ve = self._guest.engine.ve(self._guest.uuid)
        except (NotFound, Unreachable):
            return False
        if ve.state is VEState.STOPPED:
            self._down_since = self._down_since or time.monotonic()
            self.stays_down = time.monotonic() - self._down_since >= DOWN_SECONDS
            return self.stays_down
        self._down_since = None
        return ve.domain_id is not None and ve.domain_id != self._before

    def is_down(self) -> bool:
        """Whether it was down at the last look, for however short a time: then it is started without more waiting."""
        self.stays_down = self._down_since is not None
        return self.stays_down

    def close(self) -> None:
        self._subscription.close()


def _find(run: TaskRun, ve_id: int) -> Guest:
    """The VE on its node, both still known. JobFailed otherwise."""
    ve = VE.objects.select_related("node").filter(pk=ve_id).first()
    if ve is None:
        raise JobFailed("The Virtual Environment was removed.", "Nothing is left to do.")
    if ve.node is None:
        raise JobFailed(f"No node has {ve}.", "It reappears when a node shows it again.")
    return Guest(ve, ve.node, driver(ve.node))


def _tell(step: Step, outcome: Outcome, done: str, *, already: tuple[VEState, ...], guest: Guest) -> None:
    """Say what happened; JobFailed when "already" turns out to be another state than the wanted one."""
    if outcome is not Outcome.ALREADY:
        step.line(done)
        return
    state = guest.state()
    if state not in already:
        raise JobFailed(f"{guest.ve} is {state}.", "Wait until that is over, then retry the task.")
    step.already_done(f"{guest.ve} is {state}")


def _tell_past(step: Step, outcome: Outcome, guest: Guest) -> None:
    if outcome is Outcome.SIGNALLED:
        step.line(
            f"libvirt on {guest.node} does not know the init of {guest.ve}; it was signalled past libvirt, over SSH",
            Level.WARNING,
        )


def _wait_for_stop(step: Step, guest: Guest, seconds: float) -> bool:
    def wait(passed: float) -> None:
        step.progress(100 * passed / seconds, f"waiting for the guest, {seconds - passed:.0f} s left")

    return wait_until_stopped(guest.engine, guest.uuid, seconds, on_wait=wait, on_again=step.line)


def _poll(step: Step, reached: Callable[[], bool], seconds: float, waiting: str) -> bool:
    """Look until it is so or the time is over; shows how much is left, and stops when the task is cancelled."""
    begun = time.monotonic()
    while not reached():
        passed = time.monotonic() - begun
        if passed >= seconds:
            return False
        step.progress(100 * passed / seconds, f"{waiting}, {seconds - passed:.0f} s left")
        time.sleep(LOOK_EVERY)
    return True


def _record(run: TaskRun, guest: Guest, wanted: VEState) -> None:
    """Verify the final state with the engine and put it into the inventory."""
    with run.step("Recording the new state") as step:
        end = time.monotonic() + SETTLE_SECONDS
        while (state := guest.state()) is not wanted and time.monotonic() < end:
            time.sleep(LOOK_EVERY)
        inventory.refresh(guest.node, guest.ve)
        if state is not wanted and not (wanted is VEState.RUNNING and state is VEState.PAUSED):
            raise JobFailed(f"{guest.ve} is {state} on {guest.node}, not {wanted}.", "Look at its console and its log.")
        step.line(f"{guest.ve} is {state} on {guest.node}")
