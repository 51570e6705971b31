"""Asking the guest of a Virtual Environment to restart, and seeing whether it did."""

import time
from contextlib import suppress

from infrastructure.drivers.base import Conflict, NotFound, Unreachable, VEState
from infrastructure.jobs.power_steps import Guest, find, its_node, poll, record, tell_past
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import Step, TaskRun

RESTART_SECONDS = 30.0
AGAIN_SECONDS = 10.0  # a container whose init was not ready for the signal is asked a second time
DOWN_SECONDS = 3.0  # longer than a guest is down between its end and its start by the engine


def recover(run: TaskRun, *, ve_id: int) -> Recovery:
    """A restart leaves no trace that tells whether it happened: it is not repeated behind the admin's back."""
    return Recovery.failed(
        "The worker was lost while the guest was asked to restart; whether it did is not known.",
        "Look at its console, and restart it again if it did not.",
    )


@job(
    "ve.restart",
    title="Restarting {ve}",
    permission="ve.operate",
    lock="ve:{ve_id}",
    recover=recover,
    shares=its_node,
    doing="being restarted",
)
def restart(run: TaskRun, *, ve_id: int) -> None:
    guest = find(run, ve_id)
    with run.step(f"Asking {guest.ve} to restart") as step:
        step.command(guest.command("reboot"))
        seen = _Reboots(guest)
        try:
            tell_past(step, guest.engine.reboot(guest.uuid), guest)
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
    record(run, guest, VEState.RUNNING)


def _wait_for_restart(step: Step, guest: Guest, seen: "_Reboots") -> bool:
    """True when the guest restarted or is down for good."""
    words = "waiting for the guest to go down"
    if guest.ve.is_vm:
        return poll(step, seen.happened, RESTART_SECONDS, words)
    if poll(step, seen.happened, AGAIN_SECONDS, words):
        return True
    # The kernel drops a signal that the init of a container does not handle yet.
    with suppress(Conflict, NotFound, Unreachable):  # it goes down at this moment
        guest.engine.reboot(guest.uuid)
        step.line(f"It has not gone down within {AGAIN_SECONDS:.0f} s and was asked once more")
    return poll(step, seen.happened, RESTART_SECONDS - AGAIN_SECONDS, words)


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
