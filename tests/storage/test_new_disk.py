"""Adding a disk: which devices are offered, what is made, where the key is, and that a failure leaves nothing."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.base import Completed
from infrastructure.drivers.errors import Refused, TimedOut
from infrastructure.models import Node
from infrastructure.services.endpoints import driver
from infrastructure.services.errors import InvalidInput
from panel.accounts.models import User
from storage.jobs import add_disk, disk_steps
from storage.services import candidates, new_disk
from tasks.errors import JobFailed, NotPossible
from tasks.models import Task, TaskLine
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import commands_of, die_in, lines_of, run, steps_of
from tests.storage.disk_host import OSD, DiskHost, Storage

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_disk, "UP_SECONDS", 0.0)
    monkeypatch.setattr(disk_steps, "DOWN_SECONDS", 0.0)


@pytest.fixture
def host(storage: Storage) -> DiskHost:
    return storage.hosts["primary"]


def add(storage: Storage, path: str, tier: int = 2, user: User | None = None) -> Task:
    node = Node.objects.get(name="primary")
    return new_disk.add(user=user or storage.admin, cluster=storage.row, node=node, path=path, tier=tier)


def reasons(storage: Storage) -> dict[str, str]:
    return {each.path: each.reason for each in new_disk.offered(Node.objects.get(name="primary"))}


def test_only_whole_and_empty_devices_are_offered_the_others_say_why(storage: Storage, host: DiskHost) -> None:
    host.device("sdb")
    host.device("sda", children=[{"name": "sda1", "type": "part"}, {"name": "sda2", "type": "part"}])
    host.device("sdc", children=[{"name": "md0", "type": "raid1"}])
    host.device("sdd", mountpoints=[None, "/srv"])
    host.device("sde", ro=True)
    host.device("sdf", size=1 << 20)
    host.written[host.device("sdg")] = "ext4"
    host.written[host.device("sdh")] = "ceph_bluestore"
    host.written[host.device("sdi")] = "unreadable"
    host.opened.add(host.device("sdj"))
    host.device("sr0", type="rom")

    assert reasons(storage) == {
        "/dev/sdb": "",
        "/dev/sda": "Has partitions: sda1, sda2",
        "/dev/sdc": "Used by md0",
        "/dev/sdd": "Mounted at /srv",
        "/dev/sde": "Read-only",
        "/dev/sdf": "Smaller than 1 GiB",
        "/dev/sdg": "Holds ext4",
        "/dev/sdh": "Is a disk of a Ceph cluster",
        "/dev/sdi": "Cannot be read",
        "/dev/sdj": "A program has it open",
    }
    assert next(iter(reasons(storage))) == "/dev/sdb", "what can be used comes first"


def test_a_device_that_is_another_one_by_its_number_is_not_offered(storage: Storage, host: DiskHost) -> None:
    """The kernel tells of devices that this machine may not use; a file of that name can be something else."""
    host.device("sdb")
    host.block[0]["maj:min"] = "8:16"
    written = host._written
    host._written = lambda row: written(row | {"maj:min": "8:32"})  # type: ignore[method-assign]
    assert reasons(storage) == {"/dev/sdb": "It has no device file"}


def test_a_disk_is_made_in_its_tier_below_its_host(storage: Storage, host: DiskHost) -> None:
    task = run(add(storage, host.device("sdb")))

    assert (task.state, task.reason) == ("completed", "")
    made = storage.engine.disks[9]
    assert (made.device_class, made.host, made.up, round(made.crush_weight, 4)) == ("tier2", "primary", True, 0.0039)
    assert [title for title, _ in steps_of(task)] == [
        "Checking /dev/sdb on primary",
        "Taking a number for it",
        "Making the store of CS9",
        "Putting CS9 into tier 2",
        "Starting CS9",
    ]
    folder = f"{OSD}/ceph-9"
    assert host.devices[f"{folder}/block"] == "/dev/disk/by-id/sdb-stable"
    assert f"ceph-osd -i 9 --mkfs --osd-uuid {made.uuid} --setuser ceph --setgroup ceph" in host.ran
    assert "env CEPH_USE_RANDOM_NONCE=1 ceph-osd -i 9 --setuser ceph --setgroup ceph" in host.ran
    assert storage.disk(9).tier == 2 and not storage.disk(9).new


def test_the_key_is_in_its_file_alone(storage: Storage, host: DiskHost) -> None:
    task = run(add(storage, host.device("sdb")))
    key = storage.engine.keys[9]

    assert host.files[f"{OSD}/ceph-9/keyring"] == f"[osd.9]\n\tkey = {key}\n".encode()
    assert host.modes[f"{OSD}/ceph-9/keyring"] == 0o600
    assert not [line for line in host.ran if key in line]
    assert not TaskLine.objects.filter(task=task, text__contains=key).exists()
    assert key not in str(Task.objects.filter(pk=task.pk).values())


def test_under_systemd_it_starts_with_the_node_and_owns_its_device(storage: Storage, host: DiskHost) -> None:
    host.systemd = True
    task = run(add(storage, host.device("sdb")))

    assert "systemctl enable --now ceph-osd@9" in commands_of(task)
    drop_in = host.files["/etc/systemd/system/ceph-osd@9.service.d/mooring.conf"].decode()
    assert "ExecStartPre=+/bin/chown ceph:ceph /dev/disk/by-id/sdb-stable" in drop_in


@pytest.mark.parametrize("word", ["--mkfs", "chown"])
def test_a_failure_leaves_nothing_of_it(storage: Storage, host: DiskHost, word: str) -> None:
    path = host.device("sdb")
    host.fails.add(word)
    task = run(add(storage, path))

    assert task.state == "failed"
    assert 9 not in storage.engine.disks
    assert not [path for path in host.files if "/ceph-9/" in path] and 9 not in host.pids
    assert "Nothing of CS9 is left" in lines_of(task)


def test_what_cannot_be_taken_off_the_device_is_told(storage: Storage, host: DiskHost) -> None:
    path = host.device("sdb")
    host.fails |= {"--mkfs", "if=/dev/zero"}
    task = run(add(storage, path))

    assert (task.state, 9 in storage.engine.disks) == ("failed", False)
    told = lines_of(task)
    assert "/dev/disk/by-id/sdb-stable cannot be wiped and still carries its label: dd ended with 1" in told
    assert "Nothing of CS9 is left" not in told


def test_a_cluster_that_refuses_leaves_nothing_either(storage: Storage, host: DiskHost) -> None:
    path = host.device("sdb")
    storage.engine.fail_next("place_disk", Refused("no", component="ceph"))
    task = run(add(storage, path))

    assert task.state == "failed"
    assert 9 not in storage.engine.disks
    assert host.labels == {}, "the store's label was wiped"


def test_a_service_that_does_not_come_up_is_taken_away_again(storage: Storage, host: DiskHost) -> None:
    host.starts = False
    task = run(add(storage, host.device("sdb")))

    assert task.state == "failed" and "not online in the cluster" in task.reason
    assert 9 not in storage.engine.disks and 9 not in host.pids


def placed(storage: Storage, number: int) -> bool:
    """Whether the CRUSH map has the disk in a host."""
    return any(number in bucket.children for bucket in storage.engine.buckets.values())


def test_a_worker_that_died_while_making_it_is_undone(
    storage: Storage, host: DiskHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = add(storage, host.device("sdb"))
    die_in(storage.engine, "set_device_class", task, monkeypatch)
    assert 9 in storage.engine.disks and host.labels
    assert f"{OSD}/ceph-9/keyring" in host.files and placed(storage, 9)

    task = run(task)
    assert (task.state, task.advice) == ("failed", "Retry the task if Nodes and disks does not show the disk.")
    assert 9 not in storage.engine.disks and host.labels == {}
    assert not [path for path in host.files if "/ceph-9/" in path] and not placed(storage, 9)
    assert not storage.row.disks.filter(number=9).exists()
    assert run(retry(task)).state == "completed"
    assert storage.engine.disks[9].up and placed(storage, 9)


def test_once_it_runs_it_is_not_cancelled(storage: Storage, host: DiskHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data moves onto it then."""
    task, refusals = add(storage, host.device("sdb")), []
    wait = add_disk._wait_until_up

    def cancelled(*about: Any) -> None:
        with pytest.raises(NotPossible) as refusal:
            cancel(task, storage.admin)
        refusals.append(str(refusal.value))
        wait(*about)

    monkeypatch.setattr(add_disk, "_wait_until_up", cancelled)
    assert run(task).state == "completed"
    assert "past the point where it can be cancelled" in refusals[0]


def test_a_disk_that_ran_is_not_wiped_for_data_may_lie_on_it(
    storage: Storage, host: DiskHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise JobFailed("The monitors did not answer.")

    monkeypatch.setattr(add_disk, "_wait_until_up", lost)
    task = run(add(storage, host.device("sdb")))

    assert task.state == "failed" and "CS9 ran already and data may lie on it, so it stays" in task.reason
    assert storage.engine.disks[9].up and storage.engine.disks[9].taken
    assert 9 in host.pids and host.labels == {"/dev/disk/by-id/sdb-stable": storage.engine.disks[9].uuid}


def test_the_worker_asks_again_whether_the_device_is_empty(storage: Storage, host: DiskHost) -> None:
    task = add(storage, host.device("sdb"))
    host.written["/dev/sdb"] = "xfs"
    task = run(task)

    assert task.state == "failed" and task.reason == "/dev/sdb cannot be used: holds xfs."
    assert "Mooring never deletes" in task.advice
    assert len(storage.engine.disks) == 9


def test_a_node_of_another_cluster_or_without_ceph_is_refused(storage: Storage, host: DiskHost) -> None:
    host.files["/etc/ceph/ceph.conf"] = b"[global]\nfsid = another\n"
    assert "/etc/ceph/ceph.conf on this node is not that of" in run(add(storage, host.device("sdb"))).reason

    host.missing.add("ceph-osd")
    assert "There is no ceph-osd on this node" in run(add(storage, host.device("sdc"))).reason


@pytest.mark.parametrize(
    "path", ["sdb", "/etc/passwd", "/dev/../etc/x", "/dev/sdb;id", "-f", "/dev/s db", "/dev/sdb\n"]
)
def test_what_is_no_device_never_reaches_a_node(storage: Storage, host: DiskHost, path: str) -> None:
    with pytest.raises(InvalidInput):
        add(storage, path)
    assert host.ran == []


def test_an_operator_may_not(storage: Storage, operator: User, client_of: Any) -> None:
    with pytest.raises(PermissionDenied):
        add(storage, "/dev/sdb", user=operator)
    assert client_of(operator).get("/storage/disks/add/devices/?node=1").status_code == 403


def test_the_dialog_opens_without_asking_a_node_and_starts_the_task(
    storage: Storage, host: DiskHost, client_of: Any
) -> None:
    client, node = client_of(storage.admin), Node.objects.get(name="primary")
    host.device("sdb", model="Fast 1", serial="S1")
    host.device("sdd", mountpoints=["/srv"])
    html = client.get("/storage/disks/add/", **HTMX).content.decode()
    assert "Asking the node for its devices" in html and host.ran == []

    html = client.get(f"/storage/disks/add/devices/?node={node.pk}", **HTMX).content.decode()
    assert 'value="/dev/sdb" aria' in html and "4 GiB, HDD, Fast 1, S1" in html
    assert 'value="/dev/sdd" disabled' in html and "Mounted at /srv" in html

    entered = {"node": str(node.pk), "path": "/dev/sdb", "tier": "2"}
    assert client.post("/storage/disks/add/", entered, **HTMX).status_code == 204
    assert Task.objects.get().params == {
        "cluster_id": storage.row.pk,
        "node_id": node.pk,
        "path": "/dev/sdb",
        "tier": 2,
    }


def test_a_node_of_which_no_device_fits_is_said_in_the_dialog(storage: Storage, host: DiskHost, client_of: Any) -> None:
    client, node = client_of(storage.admin), Node.objects.get(name="primary")
    host.device("sdd", mountpoints=["/srv"])
    url, words = f"/storage/disks/add/devices/?node={node.pk}", "primary has no device that can be added."
    assert words in client.get(url, **HTMX).content.decode()

    host.device("sdb")
    assert words not in client.get(url, **HTMX).content.decode()


def test_without_a_device_the_dialog_says_so(storage: Storage, client_of: Any) -> None:
    node = Node.objects.get(name="primary")
    answer = client_of(storage.admin).post("/storage/disks/add/", {"node": str(node.pk), "tier": "2"}, **HTMX)
    assert answer.status_code == 422 and "Choose a device." in answer.content.decode()


def test_a_node_that_does_not_answer_is_said_in_the_dialog(storage: Storage, host: DiskHost, client_of: Any) -> None:
    host.missing.add("lsblk")
    node = Node.objects.get(name="primary")
    html = client_of(storage.admin).get(f"/storage/disks/add/devices/?node={node.pk}", **HTMX).content.decode()
    assert 'role="alert"' in html and "lsblk ended with 1" in html
    assert "Try again</button>" in html


def test_a_node_that_hangs_is_waited_for_a_few_seconds_in_all(
    storage: Storage, host: DiskHost, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node.objects.get(name="primary")
    now, given = [100.0], list[float]()

    def slow(argv: Collection[str], **options: Any) -> Completed:
        given.append(options["deadline"])
        now[0] += 4
        if given[-1] < 4:
            raise TimedOut("primary did not answer", component="ssh")
        return host.run(argv, **options)

    monkeypatch.setattr(driver(node), "run", slow)
    monkeypatch.setattr(candidates, "time", SimpleNamespace(monotonic=lambda: now[0]))
    html = client_of(storage.admin).get(f"/storage/disks/add/devices/?node={node.pk}", **HTMX).content.decode()

    assert given == [6, 2]
    assert "primary did not name its devices within 6 s" in html and "Try again</button>" in html
