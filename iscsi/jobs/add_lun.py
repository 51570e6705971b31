"""Adding a LUN: the pools of its policy when it is their first, its image, its limits; then its server shows it.

How to take it all back is saved before the first effect. Tasks of one policy run one after the other (a lane), so what
is taken back is used by no LUN that another task is making.
"""

from iscsi import equivalents
from iscsi.choices import Stage
from iscsi.jobs.policy_steps import drop_unused_pools
from iscsi.jobs.steps import find_lun, images_of, resume, shared_target, tell_server_or_warn
from iscsi.models import Lun
from iscsi.services import announcing, limits, policies
from iscsi.services.luns import ADD, PERMISSION
from panel.ui.format import space
from storage.choices import DatastoreState
from storage.jobs.cluster_steps import look
from storage.jobs.create_datastore import make_pools
from storage.jobs.datastore_steps import driver_of
from storage.models import Datastore
from storage.services import policies as storage_policies
from storage.services.datastores import layout_of, policy_of, set_state
from tasks.errors import JobFailed
from tasks.registry import job, undo
from tasks.runner import TaskRun

NOT_ADDED, REMOVE_IMAGE = "iscsi.lun.not_added", "iscsi.lun.remove_image"


@job(
    ADD,
    title="Adding {disk} to {target}",
    permission=PERMISSION,
    lock="lun:{lun_id}",
    shares=shared_target,
    recover=resume,
    doing="being added",
    noun="addition",
)
def add(run: TaskRun, *, lun_id: int, target_id: int) -> None:
    lun = find_lun(lun_id)
    target = lun.target
    if target is None:
        raise JobFailed("The target was deleted.", "Delete the LUN, or add it to another target.")
    if lun.stage != Stage.READY:  # an attempt that ended while telling the server left it ready, and in use
        _make(run, lun)
    run.point_of_no_return()  # initiators may use it from now on
    tell_server_or_warn(run, target, "The LUN is there, and shown")


def _make(run: TaskRun, lun: Lun) -> None:
    datastore = lun.datastore
    with run.step(f"Checking tier {datastore.tier} of {datastore.cluster}") as step:
        run.undo(NOT_ADDED, lun_id=lun.pk)
        with run.atomic():
            announcing.save(lun, stage=Stage.CREATING)
        facts = look(datastore.cluster, driver_of(run, datastore))
        if not images_of(run).exists(lun):
            storage_policies.check(facts, policy_of(datastore), lun.size)
        step.line(f"{policy_of(datastore)}: {space(lun.size)} fit")
    if datastore.state != DatastoreState.READY:
        _make_pools(run, datastore)
    with run.step(f"Making the image {datastore.pool}/{lun.image}") as step:
        run.undo(REMOVE_IMAGE, lun_id=lun.pk)
        for argv in equivalents.make_image(datastore.pool, lun.image, lun.size, datastore.data_pool):
            step.command(argv)
        if not images_of(run).make(lun):
            step.already_done()
    with run.step("Setting its limits") as step:
        if lun.target is None or not limits.apply(lun.target, images_of(run), tell=step.command, adding=lun):
            step.already_done("it has none to be set")
    with run.step(f"Recording {lun}") as step:
        with run.atomic():
            announcing.save(lun, stage=Stage.READY)
        step.line(f"{space(lun.size)} in {datastore.pool}")


def _make_pools(run: TaskRun, datastore: Datastore) -> None:
    cluster = driver_of(run, datastore)
    make_pools(run, datastore, layout_of(datastore), cluster)
    with run.step("Recording the pools"):
        look(datastore.cluster, cluster)
        with run.atomic():
            set_state(datastore, DatastoreState.READY)


@undo(REMOVE_IMAGE)
def remove_image(run: TaskRun, *, lun_id: int) -> None:
    """Take the image back, unless initiators may use it by now."""
    lun = find_lun(lun_id)
    if lun.stage == Stage.READY:
        run.line(f"{lun} is ready and stays")
    elif images_of(run).remove(lun):
        for argv in equivalents.remove_image(lun.datastore.pool, lun.image):
            run.command(argv)


@undo(NOT_ADDED)
def not_added(run: TaskRun, *, lun_id: int) -> None:
    """The row stays, so that the task can be tried again; pools that no other LUN needs go."""
    lun = find_lun(lun_id)
    if lun.stage == Stage.READY:
        return
    with run.atomic():
        announcing.save(lun, stage=Stage.FAILED)
    if not policies.used_by_others(lun.datastore, lun.pk):
        drop_unused_pools(run, lun.datastore)
