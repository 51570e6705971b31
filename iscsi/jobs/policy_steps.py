"""Removing the pools of a policy with its last LUN."""

from storage.choices import DatastoreState
from storage.jobs.datastore_steps import driver_of, drop_pool, drop_shared
from storage.models import Datastore
from storage.services.datastores import layout_of, set_state
from tasks.runner import TaskRun


def drop_unused_pools(run: TaskRun, datastore: Datastore) -> bool:
    """Remove the pools, and the rule and profile that nobody else uses; whether a pool was there.

    The row says beforehand that there are none, so that the next LUN of the policy makes them anew. Raises NotPossible
    while there are images in them: pools are never removed under data.
    """
    with run.atomic():
        set_state(datastore, DatastoreState.CREATING)
    cluster = driver_of(run, datastore)
    dropped = [drop_pool(run, datastore, cluster, pool) for pool in layout_of(datastore).pools]
    drop_shared(run, datastore, cluster)
    return any(dropped)
