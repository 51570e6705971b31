"""Another tier for a disk, online: its device class changes, Ceph moves the data, every chunk stays active."""

from dataclasses import replace

from infrastructure.drivers.base import NotFound
from storage.drivers.base import StorageCluster
from storage.drivers.facts import DiskFacts
from storage.jobs.disk_steps import LOCK, SHARES, Look, move_data, open_cluster, recover, require, settled
from storage.services import disk_checks
from storage.services.disks import PERMISSION, TIER, find, seek
from tasks.registry import job, undo
from tasks.runner import TaskRun

BACK = "storage.disk.tier.back"
_PHASES = ("Check", "Change tier", "Move data")


@job(
    TIER,
    title="Moving {disk} to {tier}",
    permission=PERMISSION,
    lock=LOCK,
    shares=SHARES,
    recover=recover,
    doing="being moved to another tier",
    noun="move",
    phases=_PHASES,
    cancel_note="{disk} gets its old tier back at once. What has moved already moves back by itself; no data is lost.",
)
def change_tier(run: TaskRun, *, cluster_id: int, disk_id: int, number: int, uuid: str, tier: int) -> None:
    engine, look = open_cluster(run, cluster_id)
    wanted = f"tier{tier}"
    run.phase("Check")
    with run.step(f"Checking CS{number}") as step:
        facts = settled(step, look)
        disk = find(facts, number, uuid)
        if disk.device_class == wanted:
            step.already_done(f"CS{number} is in tier {tier}")
        else:
            require(step, disk_checks.tier_checks(facts, disk))
    run.phase("Change tier")
    with run.step(f"Change the tier of CS{number} to {tier}") as step:
        if disk.device_class == wanted:
            step.already_done()
        else:
            run.undo(BACK, cluster_id=cluster_id, number=number, uuid=uuid, old=disk.device_class, new=wanted)
            _set_class(run, engine, disk, wanted)
            _check_again(look, disk, uuid)
    move_data(run, look, facts)


def _check_again(look: Look, disk: DiskFacts, uuid: str) -> None:
    """Another disk may have left the old tier in the same moment: then neither may."""
    facts = look()
    before = replace(find(facts, disk.id, uuid), device_class=disk.device_class)
    disk_checks.require(check for check in disk_checks.tier_checks(facts, before) if check.key == "redundancy")


def _set_class(run: TaskRun, engine: StorageCluster, disk: DiskFacts, device_class: str) -> bool:
    if disk.device_class:
        run.command(["ceph", "osd", "crush", "rm-device-class", f"osd.{disk.id}"])
    run.command(["ceph", "osd", "crush", "set-device-class", device_class, f"osd.{disk.id}"])
    return engine.set_device_class(disk.id, device_class)


@undo(BACK)
def back(run: TaskRun, *, cluster_id: int, number: int, uuid: str, old: str, new: str) -> None:
    """The old class, unless somebody gave the disk another one meanwhile. Ceph moves the data back by itself."""
    engine, look = open_cluster(run, cluster_id)
    disk = seek(look(), number, uuid)
    if disk is None or not old or disk.device_class not in (new, ""):
        run.line(f"CS{number} is left as it is")
        return
    try:
        _set_class(run, engine, disk, old)
    except NotFound:
        run.line(f"CS{number} left the cluster")
        return
    look()
    run.line(f"CS{number} is in {disk_checks.class_words(old)} again; what has moved moves back by itself")
