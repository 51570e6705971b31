"""Adding a disk to a tier: Ceph's manual deployment, with one undo that leaves nothing of it."""

import time
from uuid import uuid4

from infrastructure.drivers.base import HostDriver
from infrastructure.models import Node
from infrastructure.services.endpoints import driver as node_driver
from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts, DiskFacts
from storage.jobs.disk_steps import SHARES, Look, open_cluster, purge
from storage.services.candidates import Candidate, require_empty, stable_path
from storage.services.chunk_service import ChunkService
from storage.services.disks import PERMISSION
from storage.services.new_disk import ADD, NewDisk, new_key, require_ceph
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import TaskRun

BACK = "storage.disk.add.back"
UP_SECONDS = 90.0
_TIB = 1 << 40


def recover(run: TaskRun, **params: object) -> Recovery:
    """The key is nowhere but in the dead worker's memory: what was begun is undone unless it runs; see `back`."""
    return Recovery.failed(
        "The worker died while the disk was being made.", "Retry the task if Nodes and disks does not show the disk."
    )


@job(
    ADD,
    title="Adding a disk on {node}",
    permission=PERMISSION,
    lock="device:{node_id}:{path}",
    shares=(SHARES, "node:{node_id}"),
    recover=recover,
    doing="being made a disk",
    noun="making of the disk",
    phases=("Check", "Make", "Start"),
    cancel_note="The device is emptied again, and nothing of the disk stays in the cluster.",
)
def add_disk(run: TaskRun, *, cluster_id: int, node_id: int, path: str, tier: int) -> None:
    engine, look = open_cluster(run, cluster_id)
    node = _node(node_id)
    host = node_driver(node)
    run.phase("Check")
    with run.step(f"Checking {path} on {node}") as step:
        facts = look()
        device = _check(host, facts, path)
        step.line(f"{path} is whole and empty")
    run.phase("Make")
    uuid, key = str(uuid4()), new_key()
    with run.step("Taking a number for it") as step:
        run.undo(BACK, cluster_id=cluster_id, node_id=node_id, uuid=uuid)
        step.command(["ceph", "osd", "new", uuid, "-i", "-"])
        number = engine.make_disk(uuid, key)
        step.line(f"It is CS{number}")
    new = NewDisk(ChunkService(host, number, uuid), stable_path(host, path))
    with run.step(f"Making the store of CS{number}") as step:
        new.prepare(key, step.command)
    with run.step(f"Putting CS{number} into tier {tier}"):
        _place(run, engine, facts, node, device, number, tier)
    run.phase("Start")
    run.point_of_no_return()  # once it runs data moves onto it, and then only a release takes it away safely
    with run.step(f"Starting CS{number}") as step:
        new.start(step.command)
        _wait_until_up(look, uuid)
        step.line(f"CS{number} is online; data moves onto it by itself")


def _node(node_id: int) -> Node:
    node = Node.objects.filter(pk=node_id).first()
    if node is None:
        raise JobFailed("The node was removed.", "Add it again, then retry the task.")
    return node


def _check(host: HostDriver, facts: ClusterFacts, path: str) -> Candidate:
    require_ceph(host, facts.fsid)
    return require_empty(host, path)


def _place(
    run: TaskRun, engine: StorageCluster, facts: ClusterFacts, node: Node, device: Candidate, number: int, tier: int
) -> None:
    """Below the node's CRUSH host and into the tier, before it starts: until then no data moves to it."""
    place, weight = _crush_host(facts, node), round(device.size / _TIB, 5)
    run.command(["ceph", "osd", "crush", "add", f"osd.{number}", weight, "root=default", f"host={place}"])
    run.command(["ceph", "osd", "crush", "set-device-class", f"tier{tier}", f"osd.{number}"])
    engine.place_disk(number, host=place, weight=weight)
    engine.set_device_class(number, f"tier{tier}")


def _crush_host(facts: ClusterFacts, node: Node) -> str:
    """The name under which the CRUSH map has the node; its hostname where it is not there yet."""
    known = {node.name.lower(), node.hostname.lower()}
    hosts = (bucket.name for bucket in facts.buckets if bucket.type == "host" and bucket.name.lower() in known)
    return next(hosts, node.hostname or node.name)


def _wait_until_up(look: Look, uuid: str) -> None:
    end = time.monotonic() + UP_SECONDS
    while True:
        disk = _of(look(), uuid)
        if disk is not None and disk.up and disk.taken:
            return
        if time.monotonic() > end:
            raise JobFailed(
                "The disk's service was started and is not online in the cluster.",
                "Look into /var/log/ceph on the node, then retry the task.",
            )
        time.sleep(0.5)


def _of(facts: ClusterFacts, uuid: str) -> DiskFacts | None:
    return next((disk for disk in facts.disks if disk.uuid == uuid), None)


@undo(BACK)
def back(run: TaskRun, *, cluster_id: int, node_id: int, uuid: str) -> None:
    """Take everything away that carries this UUID: service, label, folder, number, key. A disk that ran stays."""
    engine, look = open_cluster(run, cluster_id)
    disk = _of(look(), uuid)
    if disk is None:
        run.line("The cluster has no such disk")
        return
    if disk.up or disk.taken:  # Ceph takes a new disk in when it is first up: from then on data may lie on it alone
        raise JobFailed(f"CS{disk.id} ran already and data may lie on it, so it stays; release it if it is not wanted.")
    service = ChunkService(node_driver(_node(node_id)), disk.id, uuid)
    left: list[str] = []
    if service.is_ours():
        service.stop(run.command)
        left = service.remove(run.command, was_empty=True)
    else:
        service.host.run(["rmdir", "--", service.folder], check=False)  # made, and nothing written into it yet
    engine.set_taken(disk.id, taken=False)
    run.command(["ceph", "osd", "purge", str(disk.id), "--yes-i-really-mean-it"])
    purge(engine, disk.id, lambda: None)
    look()
    run.lines(left or [f"Nothing of CS{disk.id} is left"])
