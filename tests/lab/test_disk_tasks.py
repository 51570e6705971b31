"""Disks of a real Ceph cluster: another tier with data in use, half-way back, a new one, release; and settings."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from infrastructure.models import Node
from storage.drivers import registry
from storage.models import Cluster, Disk
from storage.services import disks, new_disk, settings
from storage.services.access import driver
from storage.services.settings import Marks
from tasks.models import Task
from tasks.services import cancel
from tests.lab.ceph import ceph, told
from tests.lab.known_cluster import known_cluster, look
from tests.lab.onboarded import OnboardedLab, completed, lines_of

pytestmark = pytest.mark.lab

POOL, RULE, OBJECTS = "disk-tasks", "disk-tasks-tier1", 16
_PUT = f"for i in $(seq {OBJECTS}); do head -c 4194304 /dev/urandom | rados -p {POOL} put o$i - || exit 1; done"
_SUM = f"for i in $(seq {OBJECTS}); do rados -p {POOL} get o$i - || exit 1; done | sha256sum"


@dataclass(frozen=True)
class StorageLab:
    """The lab's cluster in the panel, with a pool of three copies over hosts in tier 1."""

    panel: OnboardedLab
    cluster: Cluster

    def disk(self, number: int) -> Disk:
        return Disk.objects.get(cluster=self.cluster, number=number)

    def look(self) -> None:
        look(self.cluster)

    def checksum(self) -> str:
        return self.panel.lab.exec("primary", "sh", "-c", _SUM)

    def slow(self, seconds: float) -> None:
        """How long each disk sleeps between two objects that it moves."""
        ceph(self.panel.lab, "tell", "osd.*", "config", "set", "osd_recovery_sleep", str(seconds))

    def groups_on(self, number: int) -> list[str]:
        """The pool's chunks that lie on the disk, or are on their way to it."""
        pool = told(self.panel.lab, "osd", "pool", "stats", POOL)[0]["pool_id"]
        found = told(self.panel.lab, "pg", "ls-by-osd", str(number)).get("pg_stats", [])
        return [row["pgid"] for row in found if row["pgid"].startswith(f"{pool}.")]

    def tier_of(self, number: int) -> str:
        return next(row for row in told(self.panel.lab, "osd", "df")["nodes"] if row["id"] == number)["device_class"]


@pytest.fixture
def storage(panel_lab: OnboardedLab) -> Iterator[StorageLab]:
    lab = panel_lab.lab
    cluster = known_cluster(panel_lab)
    ceph(lab, "osd", "crush", "rule", "create-replicated", RULE, "default", "host", "tier1")
    ceph(lab, "osd", "pool", "create", POOL, "8", "8", "replicated", RULE)
    lab.exec("primary", "sh", "-c", _PUT)
    made = StorageLab(panel_lab, cluster)
    until(lambda: set(driver(cluster).look().groups.states) == {"active+clean"})
    made.look()
    yield made
    made.slow(0)
    ceph(lab, "osd", "pool", "rm", POOL, POOL, "--yes-i-really-really-mean-it")
    ceph(lab, "osd", "crush", "rule", "rm", RULE)
    if made.tier_of(3) != "tier1":
        ceph(lab, "osd", "crush", "rm-device-class", "osd.3")
        ceph(lab, "osd", "crush", "set-device-class", "tier1", "osd.3")
    registry.drop_all()


def test_a_disk_changes_its_tier_with_data_in_use_and_half_way_goes_back(storage: StorageLab) -> None:
    admin, before = storage.panel.admin, storage.checksum()

    task = storage.panel.run(disks.change_tier(user=admin, disk=storage.disk(3), tier=2))
    completed(task)
    assert storage.tier_of(3) == "tier2"
    assert storage.groups_on(3) == []
    assert storage.checksum() == before
    assert storage.disk(3).tier == 2

    storage.slow(0.5)
    task = disks.change_tier(user=admin, disk=storage.disk(3), tier=1)
    with storage.panel.worker(task):
        until(lambda: 0 < (reread(task).progress or 0) < 100, 150)
        assert storage.tier_of(3) == "tier1"
        cancel(reread(task), admin)
        until(lambda: reread(task).is_final)
    assert reread(task).state == "cancelled", lines_of(task)
    assert storage.tier_of(3) == "tier2"
    storage.slow(0)
    until(lambda: storage.groups_on(3) == [])
    assert storage.checksum() == before


def test_a_released_disk_leaves_nothing_and_a_spare_one_becomes_a_disk(storage: StorageLab) -> None:
    lab, panel, before = storage.panel.lab, storage.panel, storage.checksum()
    primary = panel.node("primary")
    path = lab.run("add-spare", "primary").strip()

    offered = {each.path: each for each in new_disk.offered(primary)}
    assert offered[path].reason == "" and offered[path].size == 4 << 30
    assert [each for each in offered.values() if not each.reason] == [offered[path]], "the host's own are not offered"

    task = panel.run(new_disk.add(user=panel.admin, cluster=storage.cluster, node=primary, path=path, tier=1))
    completed(task)
    made = storage.cluster.disks.order_by("number").last()
    assert made is not None and (made.tier, made.host, made.up, made.taken) == (1, "primary", True, True)
    assert storage.tier_of(made.number) == "tier1"
    folder = f"/var/lib/ceph/osd/ceph-{made.number}"
    assert lab.exec("primary", "stat", "-c", "%a %U", f"{folder}/keyring").split() == ["600", "ceph"]
    assert key_of(storage, made.number) not in "\n".join(lines_of(task))
    assert why_not(primary, path) == "Is a disk of a Ceph cluster"
    until(lambda: storage.groups_on(made.number) != [])

    task = panel.run(disks.release(user=panel.admin, disk=storage.disk(made.number)))
    completed(task)
    assert made.number not in told(lab, "osd", "ls")
    assert f"osd.{made.number}" not in {row["entity"] for row in told(lab, "auth", "ls")["auth_dump"]}
    assert lab.attempt("exec", "primary", "test", "-e", folder).returncode != 0
    assert lab.exec("primary", "wipefs", "--no-act", "--noheadings", path).strip() == ""
    assert why_not(primary, path) == ""
    assert storage.checksum() == before


def test_recovery_and_fill_marks_are_set_and_taken_back(storage: StorageLab) -> None:
    panel, cluster = storage.panel, storage.cluster
    completed(panel.run(settings.change_recovery(user=panel.admin, cluster=cluster, priority="low")))
    assert settings.priority_of(driver(cluster).look().recovery) == "low"
    task = panel.run(settings.change_recovery(user=panel.admin, cluster=cluster, priority="balanced"))
    completed(task)
    assert driver(cluster).look().recovery == {}
    for marks in (Marks(70, 80, 90), Marks(85, 90, 95)):
        completed(panel.run(settings.change_marks(user=panel.admin, cluster=cluster, marks=marks)))
        assert settings.marks_of(driver(cluster).look().ratios) == marks


def why_not(node: Node, path: str) -> str:
    """Why the device cannot be used; "" when it is offered."""
    return next(each.reason for each in new_disk.offered(node) if each.path == path)


def key_of(storage: StorageLab, number: int) -> str:
    return ceph(storage.panel.lab, "auth", "print-key", f"osd.{number}").strip()


def reread(task: Task) -> Task:
    return Task.objects.get(pk=task.pk)


def until(met: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)
