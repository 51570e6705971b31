"""Steps that the jobs about a disk share."""

import time
from collections.abc import Callable

from infrastructure.drivers.base import Conflict
from infrastructure.services.preflight import Check
from panel.ui.format import count, duration
from storage.chunks import count as count_chunks
from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts
from storage.jobs.cluster_steps import look
from storage.jobs.patience import patient
from storage.models import Cluster
from storage.services import disk_checks
from storage.services.access import driver
from storage.services.disk_progress import Movement, follow
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.runner import Step, TaskRun

LOCK, SHARES = "disk:{disk_id}", "cluster:{cluster_id}"
DOWN_SECONDS = 90.0  # a monitor believes that a silent disk is down after 20 s, and more when it stutters
SETTLE_SECONDS = 120.0  # of chunks that agree anew on their disks, as after each disk that came or went
Look = Callable[[], ClusterFacts]


def recover(run: TaskRun, **params: object) -> Recovery:
    """Every step asks the cluster first, and Ceph moves data on by itself: the job may simply run again."""
    return Recovery.resume()


def open_cluster(run: TaskRun, cluster_id: int) -> tuple[StorageCluster, Look]:
    """The cluster's driver and a look at it that the pages show too, both patient. JobFailed when it was removed."""
    cluster = Cluster.objects.filter(pk=cluster_id).first()
    if cluster is None:
        raise JobFailed("The storage cluster is not in Mooring any more.", "Connect it again, then retry the task.")
    engine = patient(run, driver(cluster))
    return engine, lambda: look(cluster, engine)


def settled(step: Step, look: Look) -> ClusterFacts:
    """The cluster once no chunk is between two states. JobFailed when that takes too long."""
    end = time.monotonic() + SETTLE_SECONDS
    while left := count_chunks((facts := look()).groups).settling:
        if time.monotonic() > end:
            raise JobFailed(
                f"{count(left, 'chunk')} did not become active within {duration(SETTLE_SECONDS)}.",
                "The Overview says which disks are offline; bring them back, then retry the task.",
            )
        step.progress(None, f"Waiting for {count(left, 'chunk')} between two states")
        time.sleep(0.5)
    return facts


def require(step: Step, checks: list[Check]) -> None:
    """NotPossible with the first check that rules it out; what the others found is shown."""
    disk_checks.require(checks)
    step.lines(check.text for check in checks)


def move_data(run: TaskRun, look: Look, before: ClusterFacts) -> None:
    """Follow what Ceph moves after a change of its map, until all has arrived. `before`: a look before that change."""
    movement = Movement(degraded_before=before.groups.degraded_copies)
    run.phase("Move data")
    with run.step("Move the data") as step:
        step.line("Every chunk stays active while its data moves")
        follow(step, look, movement, lambda _: movement.over)


def purge(engine: StorageCluster, number: int, waiting: Callable[[], None]) -> None:
    """Remove a disk whose service was stopped. Ceph refuses while it counts as up or its manager lags behind."""
    end = time.monotonic() + DOWN_SECONDS
    while True:
        try:
            engine.purge(number)
        except Conflict:
            if time.monotonic() > end:
                raise
        else:
            return
        waiting()
        time.sleep(0.5)
