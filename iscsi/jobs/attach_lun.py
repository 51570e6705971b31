"""Showing a detached LUN at a target, and taking one off without touching its data."""

from iscsi.choices import Stage
from iscsi.jobs.steps import (
    find_lun,
    find_target,
    images_of,
    require_gone,
    resume,
    shared_target,
    tell_server,
    tell_server_or_warn,
)
from iscsi.models import Lun, Target
from iscsi.services import announcing, limits
from iscsi.services.luns import ATTACH, DETACH, PERMISSION
from tasks.errors import JobFailed
from tasks.registry import job, undo
from tasks.runner import TaskRun

TAKE_OFF, PUT_BACK = "iscsi.lun.take_off", "iscsi.lun.put_back"


@job(
    ATTACH,
    title="Attaching {disk} to {target}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being attached",
    noun="attachment",
)
def attach(run: TaskRun, *, lun_id: int, target_id: int, number: int) -> None:
    lun, target = find_lun(lun_id), find_target(target_id)
    with run.step(f"Setting its limits at {target}") as step:
        run.undo(TAKE_OFF, lun_id=lun_id, target_id=target_id)
        _take_number(run, lun, target, number)
        if not limits.apply(target, images_of(run), tell=step.command, adding=lun):
            step.already_done("it has none to be set")
    with run.step(f"Recording it as LUN {number} of {target}"), run.atomic():
        announcing.save(lun, stage=Stage.READY)
    run.point_of_no_return()
    tell_server_or_warn(run, target, "The LUN is attached, and shown")


def _take_number(run: TaskRun, lun: Lun, target: Target, number: int) -> None:
    """A retry takes the number again, if nobody has it by now."""
    if lun.target_id == target.pk and lun.number == number:
        return
    if lun.target_id is not None or target.luns.filter(number=number).exists():
        raise JobFailed(f"LUN {number} of {target} was given to another.", "Attach it under another number.")
    with run.atomic():
        announcing.save(lun, target=target, number=number, stage=Stage.RESTING)


@undo(TAKE_OFF)
def take_off(run: TaskRun, *, lun_id: int, target_id: int) -> None:
    """It was not shown yet: it is detached as before."""
    lun = Lun.objects.filter(pk=lun_id, target_id=target_id, stage=Stage.RESTING).first()
    if lun is not None:
        with run.atomic():
            announcing.save(lun, target=None, number=None, stage=Stage.READY)


@job(
    DETACH,
    title="Detaching {disk} from {target}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being detached",
    noun="detachment",
)
def detach(run: TaskRun, *, lun_id: int, target_id: int, number: int) -> None:
    lun, target = find_lun(lun_id), find_target(target_id)
    with run.step("Recording that it is held back"):
        run.undo(PUT_BACK, lun_id=lun_id)
        if lun.target_id == target_id:
            with run.atomic():
                announcing.save(lun, stage=Stage.RESTING)
    require_gone(tell_server(run, target, f"Taking it off {target} on {target.node}"), number)
    with run.step("Recording that it is detached"), run.atomic():
        announcing.save(lun, target=None, number=None, stage=Stage.READY, served=False, reason="")
    run.point_of_no_return()
    with run.step("Setting limits anew") as step:
        lifted = limits.lift([lun], images_of(run), tell=step.command)
        if not limits.apply(target, images_of(run), tell=step.command) and not lifted:
            step.already_done("they are as they should be")


@undo(PUT_BACK)
def put_back(run: TaskRun, *, lun_id: int) -> None:
    """It is shown as before; the collector soon has its server do so."""
    lun = Lun.objects.filter(pk=lun_id, stage=Stage.RESTING).first()
    if lun is not None:
        with run.atomic():
            announcing.save(lun, stage=Stage.READY)
