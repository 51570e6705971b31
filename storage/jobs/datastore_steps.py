"""What the jobs that create and remove datastores share."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import QuerySet

from infrastructure.choices import NodeState
from infrastructure.drivers.base import Conflict
from infrastructure.models import Node
from storage.choices import DatastoreState
from storage.drivers.base import StorageCluster
from storage.jobs.patience import patient
from storage.models import Datastore
from storage.pool_layout import FILES, is_ours, marks
from storage.services import attachments, pool_commands
from storage.services.access import driver
from storage.services.datastores import holds_files, layout_of, used_by
from storage.services.pool_commands import Commands
from tasks.errors import JobFailed
from tasks.runner import Step, TaskRun

KEEPING = (DatastoreState.CREATING, DatastoreState.READY, DatastoreState.PARTLY)


def find(datastore_id: int) -> Datastore:
    """The row; JobFailed when it was removed meanwhile."""
    datastore = Datastore.objects.select_related("cluster").filter(pk=datastore_id).first()
    if datastore is None:
        raise JobFailed("The datastore is not in Mooring any more.", "Create it again if it is still wanted.")
    return datastore


def locks(params: Mapping[str, Any]) -> list[str]:
    """The datastore; and the file system that those for files share, which one task at a time makes or removes."""
    keys = [f"datastore:{params['datastore_id']}"]
    if Datastore.objects.filter(pk=params["datastore_id"], use=FILES).exists():
        keys.append("storage-files")
    return keys


def driver_of(run: TaskRun, datastore: Datastore) -> StorageCluster:
    """Its cluster, which is waited for while it does not answer."""
    return patient(run, driver(datastore.cluster))


def show(told: Step | TaskRun, commands: Commands) -> None:
    for argv in commands:
        told.command(argv)


def make(
    run: TaskRun,
    title: str,
    commands: Commands,
    undoing: tuple[str, dict[str, object]] | None,
    do: Callable[[], bool],
) -> None:
    """One step: the undo is saved, the commands are shown, then the cluster does it unless it is there already."""
    with run.step(title) as step:
        if undoing is not None:
            name, arguments = undoing
            run.undo(name, **arguments)
        show(step, commands)
        if not do():
            step.already_done()


def images_of(datastore: Datastore, cluster: StorageCluster) -> tuple[str, ...]:
    """The images of a datastore. All are listed in its first pool, those whose data lies in another one too.

    A pool of its name that the panel did not make is not its own, and the panel may not look into it.
    """
    pool = layout_of(datastore).pool
    ours = any(found.name == pool and is_ours(found.applications) for found in cluster.pools())
    return cluster.images(pool) if ours else ()


def data_pools(cluster: StorageCluster) -> tuple[str, ...] | None:
    """The data pools of Mooring's file system; None while there is none, or somebody else's has its name."""
    try:
        there = cluster.filesystem()
    except Conflict:
        return None
    return there.data_pools if there is not None else None


def has_place(datastore: Datastore, cluster: StorageCluster) -> bool:
    """Whether the file system has the datastore's pool: without it there is no directory of it either."""
    return datastore.data_pool in (data_pools(cluster) or ())


def files_of(datastore: Datastore, cluster: StorageCluster) -> tuple[str, ...]:
    """What lies in the directory of a datastore."""
    if not has_place(datastore, cluster):
        return ()
    return cluster.entries(datastore.name) or ()


def held_by(datastore: Datastore, cluster: StorageCluster) -> tuple[str, ...]:
    """The images or files in a datastore, by name."""
    return (files_of if datastore.use == FILES else images_of)(datastore, cluster)


def refuse_used(datastore: Datastore, cluster: StorageCluster) -> None:
    """NotPossible, with what it holds, unless it is empty."""
    if held := held_by(datastore, cluster):
        raise holds_files(held, datastore) if datastore.use == FILES else used_by(held, datastore)


def stays(run: TaskRun, datastore: Datastore) -> bool:
    """Whether it became ready before the task failed: nodes and VMs may use it by now."""
    ready = datastore.state == DatastoreState.READY
    if ready:
        run.line(f"{datastore} is ready and stays")
    return ready


def reconcile_nodes(run: TaskRun, datastore: Datastore, nodes: Iterable[Node]) -> None:
    """Have nodes attach or let go of what they should now. One that cannot is told; the collector goes on trying."""
    ready, online = datastore.state == DatastoreState.READY, []
    for node in nodes:
        if node.state != NodeState.ONLINE:
            run.line(f"{node} does not answer; it is {'attached' if ready else 'detached'} when it does")
            continue
        show(run, attachments.commands(datastore, node) if ready else [])
        online.append(node)
    about = (attachments.name_of(datastore), attachments.ALL)
    for outcome in attachments.reconcile_each(online, while_waiting=run.check_cancel):
        for failed, reason in outcome.failed:
            if failed in about:
                run.warn(f"{outcome.node}: {reason}")


def drop_pool(run: TaskRun, datastore: Datastore, cluster: StorageCluster, pool: str) -> bool:
    """Remove a pool of the datastore; somebody else's of the same name is left. Whether anything was removed.

    Raises NotPossible while the datastore holds images or files: a pool is never removed under them.
    """
    there = {found.name: found for found in cluster.pools()}.get(pool)
    if there is not None and not is_ours(there.applications):
        run.line(f"The pool {pool} is left as it is: Mooring did not make it")
        return False
    refuse_used(datastore, cluster)
    if not cluster.remove_pool(pool, marks=marks(datastore.use)):
        return False
    show(run, pool_commands.remove_pool(pool))
    return True


def needing(datastore: Datastore) -> QuerySet[Datastore]:
    """The other datastores of the cluster that need what they share with it.

    One that failed does not: what it needs is made again when its task is. Nor does one that is being removed: what its
    pools still use is found by them.
    """
    return Datastore.objects.filter(cluster=datastore.cluster, state__in=KEEPING).exclude(pk=datastore.pk)


def drop_shared(run: TaskRun, datastore: Datastore, cluster: StorageCluster) -> None:
    """Remove the rule, and the profile of a code, unless another datastore or pool uses them, or they are not ours.

    Another datastore counts from the moment its row is there, before it has pools; see `needing`.
    """
    wanted = layout_of(datastore)
    rows = needing(datastore).filter(tier=datastore.tier, domain=datastore.domain)
    others = set(rows.values_list("mode", flat=True))
    pools = [pool for pool in cluster.pools() if pool.name not in wanted.pools]
    profile = wanted.profile
    if profile is not None and profile in cluster.profiles():
        used = datastore.mode in others or any(pool.profile == profile.name for pool in pools)
        commands = pool_commands.remove_profile(profile.name)
        _drop(run, f"erasure-code profile {profile.name}", commands, cluster.remove_profile, profile.name, used=used)
    shape = (False, wanted.device_class, wanted.domain)
    rules = {rule.name: (rule.coded, rule.device_class, rule.domain) for rule in cluster.rules()}
    if rules.get(wanted.rule) == shape:
        used = bool(others) or any(pool.rule == wanted.rule for pool in pools)
        commands = pool_commands.remove_rule(wanted.rule)
        _drop(run, f"rule {wanted.rule}", commands, cluster.remove_rule, wanted.rule, used=used)


def _drop(run: TaskRun, what: str, commands: Commands, remove: Callable[[str], bool], name: str, *, used: bool) -> None:
    if not used:
        try:
            if remove(name):
                show(run, commands)
            return
        except Conflict:  # somebody began to use it between the look and the removal
            pass
    run.line(f"The {what} stays: others use it")
