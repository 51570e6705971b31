"""Removing the definition that a failed migration left on its target."""

from infrastructure.jobs.moving import both_nodes
from infrastructure.services import equivalents, inventory, migration
from infrastructure.services.migration.leftover import CLEAR
from infrastructure.services.migration.request import PERMISSION
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun


def recover(run: TaskRun, *, ve_id: int, source_id: int, target_id: int) -> Recovery:
    """Both nodes are asked before anything is done."""
    return Recovery.resume()


@job(
    CLEAR,
    title="Removing what a failed migration of {ve} left on {node}",
    permission=PERMISSION,
    lock="ve:{ve_id}",
    recover=recover,
    shares=both_nodes,
    doing="having a leftover of its migration removed",
)
def clear(run: TaskRun, *, ve_id: int, source_id: int, target_id: int) -> None:
    plan = migration.plan(ve_id=ve_id, source_id=source_id, target_id=target_id)
    with run.step(f"Removing the definition from {plan.target}") as step:
        found = migration.locate(plan)
        step.line(found.words(plan))
        if found.leftover:
            step.command(equivalents.virsh(plan.ve, plan.target, "undefine"))
            plan.target_driver.undefine(plan.uuid)
            step.line(f"{plan.target} has forgotten it; disks were not touched")
        elif found.stayed and not found.target_silent:
            step.already_done(f"{plan.target} has nothing of it")
        else:
            raise JobFailed(f"It was left as it is: {found.words(plan)}.", "Look at both nodes.")
    inventory.refresh(plan.target, plan.ve)
