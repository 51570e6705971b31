"""What the jobs that switch a Virtual Environment share: finding it, saying what happened, verifying the end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.drivers.base import HostDriver, Outcome, VEState
from infrastructure.models import VE, Node
from infrastructure.services import equivalents, inventory
from infrastructure.services.endpoints import driver
from infrastructure.services.guest_stop import past_libvirt
from tasks.choices import Level
from tasks.errors import JobFailed
from tasks.runner import Step, TaskRun

LOOK_EVERY = 0.5
SETTLE_SECONDS = 15.0  # from the engine's answer to the state it promised


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


def find(run: TaskRun, ve_id: int) -> Guest:
    """The VE on its node, both still known. JobFailed otherwise."""
    ve = VE.objects.select_related("node").filter(pk=ve_id).first()
    if ve is None:
        raise JobFailed("The Virtual Environment was removed.", "Nothing is left to do.")
    if ve.node is None:
        raise JobFailed(f"No node has {ve}.", "It reappears when a node shows it again.")
    return Guest(ve, ve.node, driver(ve.node))


def tell(step: Step, outcome: Outcome, done: str, *, already: tuple[VEState, ...], guest: Guest) -> None:
    """Say what happened; JobFailed when "already" turns out to be another state than the wanted one."""
    if outcome is not Outcome.ALREADY:
        step.line(done)
        return
    state = guest.state()
    if state not in already:
        raise JobFailed(f"{guest.ve} is {state}.", "Wait until that is over, then retry the task.")
    step.already_done(f"{guest.ve} is {state}")


def tell_past(step: Step, outcome: Outcome, guest: Guest) -> None:
    """Say what was done past libvirt."""
    if words := past_libvirt(outcome, guest.ve, guest.node):
        step.line(words, Level.WARNING)


def poll(step: Step, reached: Callable[[], bool], seconds: float, waiting: str) -> bool:
    """Look until it is so or the time is over; shows how much is left, and stops when the task is cancelled."""
    begun = time.monotonic()
    while not reached():
        passed = time.monotonic() - begun
        if passed >= seconds:
            return False
        step.progress(100 * passed / seconds, f"{waiting}, {seconds - passed:.0f} s left")
        time.sleep(LOOK_EVERY)
    return True


def record(run: TaskRun, guest: Guest, wanted: VEState) -> None:
    """Verify the final state with the engine and put it into the inventory."""
    with run.step("Recording the new state") as step:
        end = time.monotonic() + SETTLE_SECONDS
        while (state := guest.state()) is not wanted and time.monotonic() < end:
            time.sleep(LOOK_EVERY)
        inventory.refresh(guest.node, guest.ve)
        if state is not wanted and not (wanted is VEState.RUNNING and state is VEState.PAUSED):
            raise JobFailed(f"{guest.ve} is {state} on {guest.node}, not {wanted}.", "Look at its console and its log.")
        step.line(f"{guest.ve} is {state} on {guest.node}")
