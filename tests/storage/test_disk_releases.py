"""Releasing a disk: its data first, then its service, and nothing of it is left."""

from typing import Any

import pytest

from infrastructure.drivers.errors import Conflict
from infrastructure.models import Node
from infrastructure.services.errors import NotPossible
from storage.drivers.facts import Groups
from storage.jobs import disk_steps, release_disk
from storage.models import Disk
from storage.services import chunk_service, disks
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import commands_of, die_in, run
from tests.storage.disk_host import OSD, Storage, moving, script


def release(storage: Storage, number: int = 0) -> Task:
    return disks.release(user=storage.admin, disk=storage.disk(number))


def to_tier_2(storage: Storage) -> Task:
    return disks.change_tier(user=storage.admin, disk=storage.disk(0), tier=2)


def drained(storage: Storage) -> Any:
    return storage.engine.settle


def test_a_released_disk_leaves_nothing_behind(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    host = storage.hosts["primary"]
    host.devices[f"{OSD}/ceph-0/block"] = "/dev/sdb"
    host.labels["/dev/sdb"] = storage.engine.disks[0].uuid
    script(storage, monkeypatch, moving(50), drained(storage))
    task = run(release(storage))

    assert (task.state, task.reason) == ("completed", "")
    assert 0 not in storage.engine.disks
    assert not [path for path in host.files if "/ceph-0/" in path]
    assert [path for path in host.files if "/ceph-1/" in path], "other disks are left alone"
    assert host.labels == {} and 0 not in host.pids
    assert not Disk.objects.filter(number=0).exists()
    assert commands_of(task) == [
        "ceph osd out 0",
        "ceph osd safe-to-destroy 0",
        "kill -TERM 1000",
        "ceph osd purge 0 --yes-i-really-mean-it",
        "dd if=/dev/zero of=/dev/sdb bs=1M count=1 conv=fsync,notrunc",
        f"rm -rf --one-file-system -- {OSD}/ceph-0",
    ]


def test_nothing_is_stopped_before_the_data_is_elsewhere(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[bool] = []
    script(storage, monkeypatch, *[lambda: pids.append(0 in storage.hosts["primary"].pids)] * 3, drained(storage))
    run(release(storage))
    assert pids == [True, True, True]


def test_a_disk_that_something_else_serves_is_refused_before_its_data_moves(storage: Storage) -> None:
    for path in [path for path in storage.hosts["primary"].files if "/ceph-0/" in path]:
        del storage.hosts["primary"].files[path]
    task = run(release(storage))

    assert task.state == "failed"
    assert "primary has no service of CS0 in /var/lib/ceph/osd/ceph-0" in task.reason
    assert "set_taken" not in storage.engine.calls


def test_cancelling_a_release_takes_the_disk_in_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = release(storage)
    script(storage, monkeypatch, moving(50), lambda: cancel(task, storage.admin))
    task = run(task)

    assert task.state == "cancelled"
    assert storage.engine.disks[0].taken
    assert 0 in storage.hosts["primary"].pids


@pytest.mark.parametrize(("start", "method"), [(to_tier_2, "set_device_class"), (release, "set_taken")])
def test_when_the_last_two_disks_of_a_host_leave_in_one_moment_they_stay(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, start: Any, method: str
) -> None:
    """Each passed its checks while the other was still there."""
    engine = storage.engine
    engine.make_rule("mooring-t1.host", device_class="tier1", domain="host")
    marks = {"application": "rbd", "marks": {"mooring": "vm"}}
    engine.make_replicated_pool("mooring-vm.t1.r3.host.a", size=3, rule="mooring-t1.host", **marks)
    storage.look()
    task, real = start(storage), getattr(engine, method)

    def change(disk: int, *args: Any, **words: Any) -> bool:
        engine.change(2, up=False)
        return bool(real(disk, *args, **words))

    monkeypatch.setattr(engine, method, change)
    task = run(task)

    assert task.state == "failed"
    assert "mooring-vm.t1.r3.host.a needs 3 hosts of tier 1, and without CS0 there are 2" in task.reason
    assert (engine.disks[0].taken, engine.disks[0].device_class) == (True, "tier1")


def test_a_service_that_does_not_end_by_itself_is_killed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.hosts["primary"].stubborn = True
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))

    assert task.state == "completed"
    assert [line for line in commands_of(task) if line.startswith("kill")] == ["kill -TERM 1000", "kill -KILL 1000"]


def test_under_systemd_its_unit_is_stopped_and_forgotten(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.hosts["primary"].systemd = True
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))

    assert task.state == "completed"
    assert [line for line in commands_of(task) if not line.startswith("ceph ")] == [
        "systemctl disable --now ceph-osd@0",
        "rm -rf -- /etc/systemd/system/ceph-osd@0.service.d",
        "systemctl daemon-reload",
        f"rm -rf --one-file-system -- {OSD}/ceph-0",
    ]


def test_a_unit_that_something_else_keeps_running_fails_and_leaves_the_disk_in_use(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = storage.hosts["primary"]
    host.systemd = host.stubborn = True
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))

    assert task.state == "failed"
    assert "cephadm" in task.advice
    assert storage.engine.disks[0].taken and 0 in host.pids


def test_a_device_with_the_label_of_another_disk_is_left_alone(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = storage.hosts["primary"]
    host.devices[f"{OSD}/ceph-0/block"] = "/dev/sdc"
    host.labels["/dev/sdc"] = storage.engine.disks[1].uuid
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))

    assert task.state == "warning"
    assert "/dev/sdc carries the label of another disk" in task.reason
    assert "/dev/sdc" in host.labels


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("if=/dev/zero", "/dev/sdb cannot be wiped and still carries its label: dd ended with 1"),
        ("show-label", "Whether /dev/sdb still carries its label cannot be read (exit 1)"),
    ],
)
def test_a_device_that_cannot_be_read_or_wiped_is_told_and_the_disk_leaves_all_the_same(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, word: str, said: str
) -> None:
    host = storage.hosts["primary"]
    host.devices[f"{OSD}/ceph-0/block"] = "/dev/sdb"
    host.labels["/dev/sdb"] = storage.engine.disks[0].uuid
    host.fails.add(word)
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))

    assert task.state == "warning"
    assert said in task.reason
    assert 0 not in storage.engine.disks
    assert not [path for path in host.files if "/ceph-0/" in path]


def test_a_device_without_a_label_is_nothing_to_tell(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.hosts["primary"].devices[f"{OSD}/ceph-0/block"] = "/dev/sdb"
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))
    assert (task.state, task.reason) == ("completed", "")
    assert not [line for line in commands_of(task) if line.startswith("dd")]


def test_a_failed_disk_whose_data_is_healed_is_removed_at_once(storage: Storage) -> None:
    storage.engine.stop(0)
    storage.engine.change(0, groups=0, taken=False)
    storage.hosts["primary"].pids.pop(0)
    storage.look()
    task = run(release(storage))

    assert (task.state, task.title) == ("completed", "Removing failed disk CS0")
    assert 0 not in storage.engine.disks
    assert not [path for path in storage.hosts["primary"].files if "/ceph-0/" in path]


def test_a_failed_disk_is_kept_until_its_data_is_healed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.engine.stop(0)
    storage.look()
    healing = Groups(total=8, states={"active+degraded": 8}, copies=300, degraded_copies=20)
    seen: list[bool] = []
    script(storage, monkeypatch, healing, lambda: seen.append(0 in storage.engine.disks), drained(storage))
    run(release(storage))
    assert seen == [True]
    assert 0 not in storage.engine.disks


def test_a_failed_disk_on_a_node_that_is_gone_is_removed_with_a_warning(storage: Storage) -> None:
    storage.engine.stop(0)
    storage.engine.change(0, groups=0, taken=False)
    storage.look()
    Node.objects.filter(name="primary").delete()
    task = run(release(storage))

    assert task.state == "warning"
    assert "No node of Mooring is called primary" in task.reason
    assert 0 not in storage.engine.disks


def test_a_disk_that_runs_where_no_node_is_known_is_refused(storage: Storage) -> None:
    Node.objects.filter(name="primary").delete()
    with pytest.raises(NotPossible, match="No node of Mooring is called primary"):
        release(storage)


def test_the_node_may_be_known_by_its_hostname_in_any_case(storage: Storage) -> None:
    Node.objects.filter(name="primary").update(name="first", hostname="PRIMARY")
    assert chunk_service.node_of("primary").name == "first"


def test_a_retry_after_the_purge_removes_what_was_left_on_the_node(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(storage, monkeypatch, drained(storage))
    task = release(storage)
    host = storage.hosts["primary"]
    host.pids.pop(0)
    del storage.engine.disks[0]
    task = run(task)

    assert task.state == "completed"
    assert not [path for path in host.files if "/ceph-0/" in path]


@pytest.mark.parametrize("where", ["follow", "purge"])
def test_wherever_its_worker_dies_another_one_finishes_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    script(storage, monkeypatch, drained(storage))
    task = release(storage)
    die_in(release_disk, where, task, monkeypatch)
    assert not storage.engine.disks[0].taken
    task = run(task)

    assert (task.state, task.reason) == ("completed", "")
    assert 0 not in storage.engine.disks
    assert not [path for path in storage.hosts["primary"].files if "/ceph-0/" in path]


def test_a_purge_that_ceph_goes_on_refusing_fails_with_its_words(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_steps, "DOWN_SECONDS", 0.0)
    storage.engine.fail_next("purge", Conflict("osd.0 is not safe to destroy", component="ceph"), times=9)
    script(storage, monkeypatch, drained(storage))
    task = run(release(storage))
    assert (task.state, task.reason) == ("failed", "osd.0 is not safe to destroy.")
    assert 0 in storage.engine.disks


def test_a_number_that_was_given_to_another_disk_is_not_touched(storage: Storage) -> None:
    task = release(storage)
    storage.engine.change(0, uuid="00000000-0000-0000-0000-00000000beef")
    storage.hosts["primary"].serve(0)
    task = run(task)

    assert task.state == "completed"
    assert 0 in storage.engine.disks and 0 in storage.hosts["primary"].pids
    assert f"{OSD}/ceph-0/fsid" in storage.hosts["primary"].files


def test_a_purge_that_ceph_refuses_for_the_moment_is_tried_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.engine.fail_next("purge", Conflict("osd.0 is not safe to destroy", component="ceph"), times=2)
    script(storage, monkeypatch, drained(storage))
    assert run(release(storage)).state == "completed"


@pytest.mark.parametrize(
    ("argv", "number"),
    [
        (["/usr/bin/ceph-osd", "-f", "--cluster", "ceph", "--id", "3", "--setuser", "ceph"], 3),
        (["ceph-osd", "-i", "3"], 3),
        (["ceph-osd", "-n", "osd.3"], 3),
        (["ceph-osd", "--id=3"], 3),
        (["ceph-osd", "-i", "33", "--setuser", "3"], 33),
    ],
)
def test_a_process_is_known_by_the_disk_it_is_told_to_serve(argv: list[str], number: int) -> None:
    served = [each for each in (3, 33, 30) if chunk_service._serves(argv, each)]
    assert served == [number]
