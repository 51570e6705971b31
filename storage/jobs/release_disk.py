"""Releasing a disk: its data moves elsewhere, then its service, its place in the cluster and its folder are removed."""

from infrastructure.drivers.base import DriverError
from infrastructure.models import Node
from infrastructure.services.endpoints import driver as node_driver
from infrastructure.services.errors import NotPossible
from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts, DiskFacts
from storage.jobs.disk_steps import LOCK, SHARES, Look, open_cluster, purge, recover, require, settled
from storage.services import chunk_service, disk_checks
from storage.services.chunk_service import ChunkService
from storage.services.disk_progress import Movement, follow
from storage.services.disks import PERMISSION, RELEASE, seek
from tasks.registry import job, undo
from tasks.runner import TaskRun

BACK = "storage.disk.release.back"
_PHASES = ("Check", "Move data", "Remove")


@job(
    RELEASE,
    title="{doing} {disk}",
    permission=PERMISSION,
    lock=LOCK,
    shares=SHARES,
    recover=recover,
    doing="being released",
    noun="release",
    phases=_PHASES,
    cancel_note="{disk} is taken in again at once. What has moved already moves back by itself; no data is lost.",
)
def release(run: TaskRun, *, cluster_id: int, disk_id: int, number: int, uuid: str, host: str) -> None:
    engine, look = open_cluster(run, cluster_id)
    run.phase("Check")
    with run.step(f"Checking CS{number}") as step:
        facts = settled(step, look)
        disk = seek(facts, number, uuid)
        if disk is None:
            step.already_done(f"CS{number} left the cluster; what it left on {host} is removed")
        else:
            require(step, disk_checks.release_checks(facts, disk))
        service = _service(run, number, uuid, host, needed=disk is not None and disk.up)
    if disk is not None:
        run.phase("Move data")
        _drain(run, engine, look, disk, cluster_id)
    run.phase("Remove")
    run.point_of_no_return()
    _stop(run, service, number, host)
    _purge(run, engine, look, number, uuid)
    _clean(run, service, number, host)


def _service(run: TaskRun, number: int, uuid: str, host: str, *, needed: bool) -> ChunkService | None:
    """The disk's service on its node; None when there is no such node and the disk does not run anyway."""
    try:
        node: Node = chunk_service.node_of(host)
        service = ChunkService(node_driver(node), number, uuid)
        if not service.is_ours() and needed:  # said before anything is moved
            raise NotPossible(
                f"{node} has no service of CS{number} in {service.folder}",
                advice="Something else keeps it, such as cephadm: release it with that.",
            )
    except (NotPossible, DriverError) as error:
        if needed:
            raise
        run.warn(f"{str(error).rstrip('.')}. What lies on {host or 'its node'} of CS{number} is left there.")
        return None
    return service


def _drain(run: TaskRun, engine: StorageCluster, look: Look, disk: DiskFacts, cluster_id: int) -> None:
    with run.step(f"Move the data of CS{disk.id} elsewhere") as step:
        if disk.taken:
            run.undo(BACK, cluster_id=cluster_id, number=disk.id, uuid=disk.uuid)
            step.command(["ceph", "osd", "out", str(disk.id)])
            engine.set_taken(disk.id, taken=False)
            # Another disk may have left in the same moment: then neither may, or the move would never end.
            again = disk_checks.release_checks(look(), disk)
            disk_checks.require(check for check in again if check.key == "redundancy")
        else:
            step.line(f"CS{disk.id} is out already")
        step.command(["ceph", "osd", "safe-to-destroy", str(disk.id)])
        movement = Movement()

        def arrived(facts: ClusterFacts) -> bool:
            left = next((each.groups for each in facts.disks if each.id == disk.id), 0)
            return left == 0 and engine.may_destroy(disk.id)

        follow(step, look, movement, arrived)
        step.line(f"Nothing is lost or short of copies without CS{disk.id}")


def _stop(run: TaskRun, service: ChunkService | None, number: int, host: str) -> None:
    if service is None:
        return
    with run.step(f"Stop its service on {host}") as step:
        if not service.is_ours():
            step.already_done(f"{host} has no service of this disk")
        elif not service.stop(step.command):
            step.already_done("it does not run")


def _purge(run: TaskRun, engine: StorageCluster, look: Look, number: int, uuid: str) -> None:
    with run.step(f"Remove CS{number} from the cluster") as step:
        if seek(look(), number, uuid) is None:
            step.already_done(f"CS{number} is not in the cluster")
            return
        step.command(["ceph", "osd", "purge", str(number), "--yes-i-really-mean-it"])
        purge(engine, number, lambda: step.progress(None, "Waiting until the monitors know that it stopped"))
        look()


def _clean(run: TaskRun, service: ChunkService | None, number: int, host: str) -> None:
    if service is None:
        return
    with run.step(f"Remove what CS{number} left on {host}") as step:
        if not service.is_ours():
            step.already_done()
            return
        for words in service.remove(step.command):
            run.warn(words)


@undo(BACK)
def back(run: TaskRun, *, cluster_id: int, number: int, uuid: str) -> None:
    """Take it in again, unless it does not run any more: then its data is elsewhere already."""
    engine, look = open_cluster(run, cluster_id)
    disk = seek(look(), number, uuid)
    if disk is None:
        run.line(f"CS{number} left the cluster")
    elif not disk.up:
        run.line(f"CS{number} does not run and stays out; retry the task to finish its removal")
    else:
        run.command(["ceph", "osd", "in", str(number)])
        engine.set_taken(number, taken=True)
        look()
        run.line(f"CS{number} is in use again; what has moved moves back by itself")
