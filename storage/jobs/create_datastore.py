"""Creating a datastore: its rule, profile and pools.

Every step asks the cluster first, and how to take back what it may make is saved before: nothing is left when the task
fails, and nothing of others is touched.
"""

from infrastructure.drivers.base import Conflict
from panel.ui.format import space
from storage.choices import DatastoreState
from storage.drivers.base import StorageCluster
from storage.jobs import files_steps
from storage.jobs.cluster_steps import look
from storage.jobs.datastore_steps import (
    driver_of,
    drop_pool,
    drop_shared,
    find,
    held_by,
    locks,
    make,
    reconcile_nodes,
    stays,
)
from storage.models import Datastore
from storage.pool_layout import FILES, PoolLayout, is_ours, marks
from storage.services import attachments, file_servers, policies, pool_commands
from storage.services.datastores import CREATE, PERMISSION, layout_of, policy_of, set_state
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

FORGET, UNDO_SHARED, UNDO_POOL = "storage.datastore.not-created", "storage.datastore.unshare", "storage.pool.unmake"


def recover(run: TaskRun, *, datastore_id: int) -> Recovery:
    """Every step asks the cluster first, so the job may simply run again."""
    return Recovery.resume()


@job(
    CREATE,
    title="Creating datastore {datastore}",
    permission=PERMISSION,
    lock=locks,
    recover=recover,
    doing="being created",
    noun="creation",
)
def create(run: TaskRun, *, datastore_id: int) -> None:
    datastore = find(datastore_id)
    if datastore.state != DatastoreState.READY:  # an attempt that ended while attaching it left it ready, and in use
        _create(run, datastore)
    run.point_of_no_return()  # a node may use it from now on
    with run.step("Attaching it to the nodes"):
        reconcile_nodes(run, datastore, attachments.nodes())


def _create(run: TaskRun, datastore: Datastore) -> None:
    wanted, cluster = layout_of(datastore), driver_of(run, datastore)
    with run.step(f"Checking tier {datastore.tier} of {datastore.cluster}") as step:
        run.undo(FORGET, datastore_id=datastore.pk)
        with run.atomic():
            set_state(datastore, DatastoreState.CREATING)
        _check(step, datastore, wanted, cluster)
    make_pools(run, datastore, wanted, cluster)
    if datastore.use == FILES:
        files_steps.make_place(run, datastore, wanted, cluster)
    with run.step(f"Recording {datastore}") as step:
        look(datastore.cluster, cluster)
        with run.atomic():
            set_state(datastore, DatastoreState.READY)
        step.line(f"{datastore} is ready: {policy_of(datastore)}")


def _check(step: Step, datastore: Datastore, wanted: PoolLayout, cluster: StorageCluster) -> None:
    """The picker's rules once more, after a fresh look; and that pools of these names are none of others."""
    facts = look(datastore.cluster, cluster)
    policies.check(facts, policy_of(datastore))
    if datastore.use == FILES:
        file_servers.check(datastore.cluster, facts)
    there = {pool.name: pool for pool in facts.pools}
    for name in wanted.pools:
        pool = there.get(name)
        if pool is not None and (not is_ours(pool.applications) or held_by(datastore, cluster)):
            raise Conflict(
                f"There is a pool {name} already that was not made for this datastore",
                code="foreign-pool",
                component="ceph",
                advice="It is left as it is. Choose another name for the datastore.",
            )
    policy = policy_of(datastore)
    usable = policies.Tiers(facts)[policy.tier].usable(policy.mode, policy.domain)
    step.line(f"{policy}: fits, {space(usable)} can be stored")


def make_pools(run: TaskRun, datastore: Datastore, wanted: PoolLayout, cluster: StorageCluster) -> None:
    """Its rule, profile and pools, each in a step with its undo."""
    use, profile = datastore.use, wanted.profile
    make(
        run,
        f"Making the rule {wanted.rule}",
        pool_commands.make_rule(wanted),
        (UNDO_SHARED, {"datastore_id": datastore.pk}),
        lambda: cluster.make_rule(wanted.rule, device_class=wanted.device_class, domain=wanted.domain),
    )
    if profile is not None:
        make(
            run,
            f"Making the erasure-code profile {profile.name}",
            pool_commands.make_profile(wanted),
            (UNDO_SHARED, {"datastore_id": datastore.pk}),
            lambda: cluster.make_profile(profile),
        )
        make(
            run,
            f"Making the pool {wanted.data_pool}",
            pool_commands.make_coded(wanted, use),
            (UNDO_POOL, {"datastore_id": datastore.pk, "pool": wanted.data_pool}),
            lambda: cluster.make_coded_pool(
                wanted.data_pool, profile=profile, application=wanted.application, marks=marks(use)
            ),
        )
    if not wanted.copies:
        return
    make(
        run,
        f"Making the pool {wanted.pool}{' for metadata' if profile else ''}",
        pool_commands.make_copies(wanted, use),
        (UNDO_POOL, {"datastore_id": datastore.pk, "pool": wanted.pool}),
        lambda: cluster.make_replicated_pool(
            wanted.pool, size=wanted.copies, rule=wanted.rule, application=wanted.application, marks=marks(use)
        ),
    )
    if profile is not None:
        make(
            run,
            f"Keeping data of {wanted.pool} in {wanted.data_pool}",
            pool_commands.join(wanted),
            None,
            lambda: cluster.set_default_data_pool(wanted.pool, wanted.data_pool),
        )


@undo(FORGET)
def forget(run: TaskRun, *, datastore_id: int) -> None:
    """The row stays, so that the task can be tried again; it says that there is no datastore."""
    datastore = Datastore.objects.filter(pk=datastore_id).first()
    if datastore is not None and not stays(run, datastore):
        with run.atomic():
            set_state(datastore, DatastoreState.FAILED)


@undo(UNDO_SHARED)
def unshare(run: TaskRun, *, datastore_id: int) -> None:
    """Take back the rule and profile, unless others use them."""
    datastore = find(datastore_id)
    if not stays(run, datastore):
        drop_shared(run, datastore, driver_of(run, datastore))


@undo(UNDO_POOL)
def unmake_pool(run: TaskRun, *, datastore_id: int, pool: str) -> None:
    """Take back a pool that this task may have made: ours and empty. Any other is left."""
    datastore = find(datastore_id)
    if not stays(run, datastore):
        drop_pool(run, datastore, driver_of(run, datastore), pool)
