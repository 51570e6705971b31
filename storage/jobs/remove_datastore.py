"""Removing a datastore: only an empty one, with its pools, and with its rule and profile when nobody else uses them."""

from storage.choices import DatastoreState
from storage.jobs import files_steps
from storage.jobs.cluster_steps import look
from storage.jobs.datastore_steps import (
    driver_of,
    drop_pool,
    drop_shared,
    find,
    locks,
    reconcile_nodes,
    refuse_used,
    show,
)
from storage.models import Datastore
from storage.pool_layout import FILES
from storage.services import attachments, pool_commands
from storage.services.datastores import PERMISSION, REMOVE, forget, layout_of, set_state
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import TaskRun

KEEP, PARTLY = "storage.datastore.keep", "storage.datastore.partly-removed"


def recover(run: TaskRun, *, datastore_id: int) -> Recovery:
    """Every step may be repeated; once the row is gone, all of it was done."""
    return Recovery.resume() if Datastore.objects.filter(pk=datastore_id).exists() else Recovery.completed()


@job(
    REMOVE,
    title="Removing datastore {datastore}",
    permission=PERMISSION,
    lock=locks,
    recover=recover,
    doing="being removed",
    noun="removal",
)
def remove(run: TaskRun, *, datastore_id: int) -> None:
    datastore = find(datastore_id)
    cluster = driver_of(run, datastore)
    with run.step(f"Looking for what uses {datastore}") as step:
        run.undo(KEEP, datastore_id=datastore_id, state=datastore.state)
        with run.atomic():
            set_state(datastore, DatastoreState.REMOVING)
        show(step, pool_commands.list_contents(datastore.use, datastore.name, layout_of(datastore).pool))
        refuse_used(datastore, cluster)
        step.line("Nothing uses it")
    with run.step("Detaching it from the nodes") as step:
        reconcile_nodes(run, datastore, attachments.release(datastore))
        refuse_used(datastore, cluster)  # what a node began to use before it let go
    run.point_of_no_return()
    if datastore.use == FILES:
        files_steps.remove_place(run, datastore, cluster)
    for pool in layout_of(datastore).pools:
        with run.step(f"Removing the pool {pool}") as step:
            run.undo(PARTLY, datastore_id=datastore_id, pool=pool)
            if not drop_pool(run, datastore, cluster, pool):
                step.already_done(f"no pool {pool} of Mooring is there")
    with run.step("Removing what only it used"):
        if datastore.use == FILES:
            files_steps.drop_filesystem(run, datastore, cluster)
        drop_shared(run, datastore, cluster)
    with run.step(f"Forgetting {datastore}") as step:
        look(datastore.cluster, cluster)
        with run.atomic():
            forget(datastore)
        step.line(f"{datastore} is no longer there")


@undo(KEEP)
def keep(run: TaskRun, *, datastore_id: int, state: str) -> None:
    """It is as it was before, unless one of its pools is gone; the collector soon gives it back to the nodes."""
    datastore = Datastore.objects.select_related("cluster").filter(pk=datastore_id).first()
    if datastore is not None and datastore.state == DatastoreState.REMOVING:
        with run.atomic():
            set_state(datastore, state)
            if state == DatastoreState.READY:
                attachments.keep(datastore)


@undo(PARTLY)
def partly(run: TaskRun, *, datastore_id: int, pool: str) -> None:
    """A removed pool does not come back: the removal can only be tried again."""
    datastore = Datastore.objects.filter(pk=datastore_id).select_related("cluster").first()
    if datastore is None or pool in {found.name for found in driver_of(run, datastore).pools()}:
        return
    with run.atomic():
        set_state(datastore, DatastoreState.PARTLY)
