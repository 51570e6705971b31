"""Deleting a target. Its LUNs are detached and keep their data."""

from typing import Any

from infrastructure.drivers.base import DriverError
from infrastructure.services.figures import sentence
from iscsi.choices import Stage
from iscsi.jobs.leaving_node import end_server
from iscsi.jobs.steps import find_target
from iscsi.models import Lun, Target
from iscsi.services import announcing, limits, portals
from iscsi.services.images import Images
from iscsi.services.targets import DELETE, PERMISSION
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import TaskRun

KEEP = "iscsi.target.keep"


def recover(run: TaskRun, *, target_id: int, **_params: Any) -> Recovery:
    """Every step may be repeated; once the row is gone, all of it was done."""
    return Recovery.resume() if Target.objects.filter(pk=target_id).exists() else Recovery.completed()


@job(
    DELETE,
    title="Deleting target {target}",
    permission=PERMISSION,
    lock="target:{target_id}",
    recover=recover,
    doing="being deleted",
    noun="deletion",
)
def delete(run: TaskRun, *, target_id: int, without_node: bool = False) -> None:
    target = find_target(target_id)
    with run.step(f"Stopping the server of {target} on {target.node}") as step:
        run.undo(KEEP, target_id=target_id, stage=target.stage)
        with run.atomic():
            announcing.save(target, stage=Stage.REMOVING)
        end_server(run, step, target, without_node=without_node)
    run.point_of_no_return()
    luns = list(target.luns.select_related("datastore__cluster"))
    if luns:
        with run.step("Taking the limits off its LUNs") as step:
            try:
                limits.lift(luns, Images(), tell=step.command)
            except DriverError as error:  # they are set anew when the LUN is attached again
                run.warn(f"The limits stay: {sentence(str(error))}")
    with run.step(f"Forgetting {target}") as step:
        with run.atomic():
            portals.gone_from(target.node, portals.places_of(target))
            rows = Lun.objects.filter(target=target)
            rows.update(target=None, number=None, served=False, reason="")
            announcing.delete(target)
        words = ", ".join(str(lun) for lun in luns)
        step.line(f"Detached: {words}" if luns else "It had no LUNs")


@undo(KEEP)
def keep(run: TaskRun, *, target_id: int, stage: str) -> None:
    """It is as it was before; the collector starts its server again."""
    target = Target.objects.filter(pk=target_id, stage=Stage.REMOVING).first()
    if target is not None:
        with run.atomic():
            announcing.save(target, stage=Stage.READY if stage == Stage.REMOVING else stage)
