"""Growing a LUN, its snapshots, and rolling it back."""

from iscsi import equivalents
from iscsi.choices import Stage
from iscsi.jobs.steps import (
    find_lun,
    images_of,
    require_gone,
    resume,
    shared_target,
    tell_server,
    tell_server_or_warn,
    when_free,
)
from iscsi.models import Lun
from iscsi.services import announcing, images
from iscsi.services.luns import DROP_SNAPSHOT, GROW, PERMISSION, ROLL_BACK, SNAPSHOT
from panel.ui.format import space
from storage.jobs.cluster_steps import look
from storage.jobs.datastore_steps import driver_of
from storage.services import policies
from storage.services.datastores import policy_of
from tasks.registry import job, undo
from tasks.runner import TaskRun

SHOW_AGAIN, BROKEN, NOT_TAKEN = "iscsi.lun.show_again", "iscsi.lun.partly_rolled_back", "iscsi.lun.not_taken"


@job(
    GROW,
    title="Growing {lun}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being grown",
    noun="growth",
)
def grow(run: TaskRun, *, lun_id: int, target_id: int, size: int, before: int) -> None:
    lun = find_lun(lun_id)
    datastore = lun.datastore
    with run.step(f"Checking tier {datastore.tier} of {datastore.cluster}") as step:
        facts = look(datastore.cluster, driver_of(run, datastore))
        policies.check(facts, policy_of(datastore), size - before)
        step.line(f"{space(size - before)} more fit")
    with run.step(f"Growing the image {datastore.pool}/{lun.image} to {space(size)}") as step:
        run.point_of_no_return()  # an image that shrank again might have lost what was written meanwhile
        for argv in equivalents.resize(datastore.pool, lun.image, size):
            step.command(argv)
        if not images_of(run).resize(lun, size):
            step.already_done()
        with run.atomic():
            announcing.save(lun, size=size)
    tell_server_or_warn(run, lun.target, "The LUN is larger, and initiators see that")


@job(
    SNAPSHOT,
    title="Taking snapshot {snapshot} of {lun}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being given a snapshot",
    noun="snapshot",
)
def take_snapshot(run: TaskRun, *, lun_id: int, target_id: int, snapshot: str) -> None:
    lun = find_lun(lun_id)
    with run.step(f"Taking the snapshot {snapshot}") as step:
        run.undo(NOT_TAKEN, lun_id=lun_id, snapshot=snapshot)
        for argv in equivalents.snapshot("create", lun.datastore.pool, lun.image, snapshot):
            step.command(argv)
        if not images_of(run).take_snapshot(lun, snapshot):
            step.already_done()
    _record_snapshots(run, lun)


@undo(NOT_TAKEN)
def not_taken(run: TaskRun, *, lun_id: int, snapshot: str) -> None:
    """Take it back, unless it is recorded already."""
    lun = find_lun(lun_id)
    if not lun.snapshots.filter(name=snapshot).exists():
        images_of(run).drop_snapshot(lun, snapshot)


@job(
    DROP_SNAPSHOT,
    title="Deleting snapshot {snapshot} of {lun}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="losing a snapshot",
    noun="deletion",
)
def drop_snapshot(run: TaskRun, *, lun_id: int, target_id: int, snapshot: str) -> None:
    lun = find_lun(lun_id)
    run.point_of_no_return()
    with run.step(f"Deleting the snapshot {snapshot}") as step:
        for argv in equivalents.snapshot("rm", lun.datastore.pool, lun.image, snapshot):
            step.command(argv)
        if not images_of(run).drop_snapshot(lun, snapshot):
            step.already_done("it is not there")
    _record_snapshots(run, lun)


@job(
    ROLL_BACK,
    title="Rolling {lun} back to {snapshot}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being rolled back",
    noun="rollback",
)
def roll_back(run: TaskRun, *, lun_id: int, target_id: int, snapshot: str) -> None:
    lun = find_lun(lun_id)
    with run.step("Recording that it is held back"):
        run.undo(SHOW_AGAIN, lun_id=lun_id)
        with run.atomic():
            announcing.save(lun, stage=Stage.RESTING)
    if lun.target is not None:
        target = lun.target
        require_gone(tell_server(run, target, f"Taking it off {target} on {target.node}"), lun.number)
    with run.step(f"Rolling it back to {snapshot}") as step:
        run.undo(BROKEN, lun_id=lun_id)
        run.point_of_no_return()
        for argv in equivalents.snapshot("rollback", lun.datastore.pool, lun.image, snapshot):
            step.command(argv)
        size = when_free(step, lambda: images_of(run).roll_back(lun, snapshot))
    with run.step(f"Recording {lun}"), run.atomic():
        announcing.save(lun, stage=Stage.READY, size=size)
    tell_server_or_warn(run, lun.target, "The LUN is rolled back, and shown")


@undo(BROKEN)
def partly_rolled_back(run: TaskRun, *, lun_id: int) -> None:
    """What is partly rolled back is neither what was nor what should be: nobody gets it before a retry finished it."""
    lun = Lun.objects.filter(pk=lun_id, stage=Stage.RESTING).first()
    if lun is not None:
        with run.atomic():
            announcing.save(lun, stage=Stage.BROKEN, reason="Roll it back once more: that finishes it")


@undo(SHOW_AGAIN)
def show_again(run: TaskRun, *, lun_id: int) -> None:
    """It is shown as before; the collector soon has its server do so."""
    lun = Lun.objects.filter(pk=lun_id, stage=Stage.RESTING).first()
    if lun is not None:
        with run.atomic():
            announcing.save(lun, stage=Stage.READY)


def _record_snapshots(run: TaskRun, lun: Lun) -> None:
    with run.step("Recording its snapshots") as step:
        found = images_of(run).snapshots(lun)
        with run.atomic():
            images.record_snapshots(lun, found)
        step.line(", ".join(each.name for each in found) or "It has none")
