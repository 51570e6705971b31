"""Removing the definition that a failed migration left on its target."""

import time

from infrastructure.jobs.moving import both_nodes, clear_leftover
from infrastructure.services import inventory, migration
from infrastructure.services.migration import Plan, Whereabouts, leftover
from infrastructure.services.migration.request import PERMISSION
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun

SETTLE_SECONDS = 15.0  # for a libvirtd that goes on with what it had begun
LOOK_EVERY = 0.5


def recover(run: TaskRun, *, ve_id: int, source_id: int, target_id: int) -> Recovery:
    """Both nodes are asked before anything is done."""
    return Recovery.resume()


@job(
    leftover.CLEAR,
    title="Clearing what a failed migration of {ve} may have left on {node}",
    permission=PERMISSION,
    lock="ve:{ve_id}",
    recover=recover,
    shares=both_nodes,
    doing="being cleared after a failed migration",
)
def clear(run: TaskRun, *, ve_id: int, source_id: int, target_id: int) -> None:
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id)
    with run.step(f"Looking at {plan.target}") as step:
        found = _settled(plan)
        step.line(found.words(plan))
        if not found.leftover and (not found.stayed or found.target_silent):
            raise JobFailed(f"It was left as it is: {found.words(plan)}.", "Look at both nodes.")
        if found.stayed:
            step.already_done(f"{plan.target} has nothing of it")
            leftover.settle(plan)
    if found.leftover:
        with run.step(f"Removing the definition from {plan.target}"):
            clear_leftover(run, plan)
    inventory.refresh(plan.target, plan.ve)


def _settled(plan: Plan) -> Whereabouts:
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        found = migration.locate(plan)
        if found.leftover or (found.stayed and not found.target_silent) or time.monotonic() > end:
            return found
        time.sleep(LOOK_EVERY)
