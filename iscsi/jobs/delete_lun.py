"""Deleting a LUN with its data, and the pools of its policy when it was their last."""

from infrastructure.drivers.base import DriverError
from infrastructure.services.figures import sentence
from iscsi import equivalents
from iscsi.choices import Stage
from iscsi.jobs.policy_steps import drop_unused_pools
from iscsi.jobs.steps import find_lun, images_of, require_gone, shared_target, tell_server, when_free
from iscsi.models import Lun
from iscsi.services import announcing, limits, policies
from iscsi.services.images import Images
from iscsi.services.luns import DELETE, PERMISSION
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import TaskRun

KEEP, PARTLY = "iscsi.lun.keep", "iscsi.lun.partly_deleted"


def recover(run: TaskRun, *, lun_id: int, target_id: int) -> Recovery:
    """Every step may be repeated; once the row is gone, all of it was done."""
    return Recovery.resume() if Lun.objects.filter(pk=lun_id).exists() else Recovery.completed()


@job(
    DELETE,
    title="Deleting {lun}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=recover,
    doing="being deleted",
    noun="deletion",
)
def delete(run: TaskRun, *, lun_id: int, target_id: int) -> None:
    lun = find_lun(lun_id)
    datastore, target = lun.datastore, lun.target
    with run.step("Recording that it goes"):
        run.undo(KEEP, lun_id=lun_id, stage=lun.stage)
        with run.atomic():
            announcing.save(lun, stage=Stage.REMOVING)
    if target is not None:
        require_gone(tell_server(run, target, f"Taking it off {target} on {target.node}"), lun.number)
    run.point_of_no_return()
    with run.step(f"Removing the image {datastore.pool}/{lun.image}") as step:
        run.undo(PARTLY, lun_id=lun_id)
        for argv in equivalents.remove_image(datastore.pool, lun.image):
            step.command(argv)
        if not when_free(step, lambda: images_of(run).remove(lun)):
            step.already_done("it is not there")
    if not policies.used_by_others(datastore, lun_id):
        with run.step("Removing the pools that only it used") as step:
            if not drop_unused_pools(run, datastore):
                step.already_done("there are none")
    if target is not None:
        _share_anew(run, lun)
    with run.step(f"Forgetting {lun}"), run.atomic():
        announcing.delete(lun)
        policies.forget_unused(datastore.pk)


def _share_anew(run: TaskRun, lun: Lun) -> None:
    """The others of its target get its part of a limit that is divided."""
    with run.step("Setting the limits of the others") as step:
        try:
            if lun.target is None or not limits.apply(lun.target, Images(), tell=step.command):
                step.already_done("they are as they should be")
        except DriverError as error:
            run.warn(f"The limits of the others are as before: {sentence(error.message)}")


@undo(KEEP)
def keep(run: TaskRun, *, lun_id: int, stage: str) -> None:
    """It is as it was before, unless its image is gone; the collector soon has it shown again."""
    lun = Lun.objects.filter(pk=lun_id, stage=Stage.REMOVING).first()
    if lun is not None:
        with run.atomic():
            announcing.save(lun, stage=Stage.READY if stage == Stage.REMOVING else stage)


@undo(PARTLY)
def partly(run: TaskRun, *, lun_id: int) -> None:
    """A removed image does not come back: the deletion can only be tried again."""
    lun = Lun.objects.select_related("datastore__cluster").filter(pk=lun_id).first()
    if lun is not None and not images_of(run).exists(lun):
        with run.atomic():
            announcing.save(lun, stage=Stage.PARTLY)
