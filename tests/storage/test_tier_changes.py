"""Moving a disk to another tier: what is done, what is undone, and what is left."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Unreachable
from infrastructure.services.errors import InvalidInput
from panel.accounts.models import User
from storage.drivers.facts import ClusterFacts, Groups
from storage.jobs import change_tier, disk_steps
from storage.services import disks
from tasks.errors import TaskConflict
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import commands_of, die_in, lines_of, run, steps_of
from tests.storage.disk_host import CLEAN, Storage, moving, script


def move(storage: Storage, number: int = 0, tier: int = 2, user: User | None = None) -> Task:
    return disks.change_tier(user=user or storage.admin, disk=storage.disk(number), tier=tier)


def test_a_disk_gets_its_new_tier_and_the_task_ends_when_all_data_arrived(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(storage, monkeypatch, moving(90), moving(90), moving(30), CLEAN)
    task = run(move(storage))

    assert (task.state, task.reason) == ("completed", "")
    assert storage.engine.disks[0].device_class == "tier2"
    assert [title for title, _ in steps_of(task)] == ["Checking CS0", "Change the tier of CS0 to 2", "Move the data"]
    assert commands_of(task) == [
        "ceph osd crush rm-device-class osd.0",
        "ceph osd crush set-device-class tier2 osd.0",
    ]
    assert storage.disk(0).tier == 2, "the pages know at once"
    assert task.title == "Moving CS0 to tier 2"


def test_chunks_between_two_states_are_waited_for(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seen = storage.engine, [Groups(total=8, states={"active+clean": 6, "peering": 2}), CLEAN]
    look = engine.look

    def next_look() -> Any:
        engine.groups = seen.pop(0) if len(seen) > 1 else seen[0]
        return look()

    engine.groups = seen[0]
    task = move(storage)
    monkeypatch.setattr(engine, "look", next_look)
    task = run(task)
    assert (task.state, task.reason) == ("completed", "")
    assert engine.groups == CLEAN


def test_chunks_that_never_agree_end_the_task_before_anything_moved(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_steps, "SETTLE_SECONDS", 0.0)
    storage.engine.groups = Groups(total=8, states={"active+clean": 6, "peering": 2})
    task = run(move(storage))
    assert (task.state, task.reason) == ("failed", "2 chunks did not become active within 0 s.")
    assert storage.engine.disks[0].device_class == "tier1"


def test_it_can_be_cancelled_while_it_waits_for_chunks(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.engine.groups = Groups(total=8, states={"active+clean": 6, "peering": 2})
    task, look = move(storage), storage.engine.look

    def next_look() -> ClusterFacts:
        if storage.engine.calls.count("look") == 3:
            cancel(task, storage.admin)
        return look()

    storage.engine.calls.clear()
    monkeypatch.setattr(storage.engine, "look", next_look)
    assert run(task).state == "cancelled"
    assert "set_device_class" not in storage.engine.calls


def test_it_does_not_end_while_copies_are_misplaced(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet: list[int] = []
    script(storage, monkeypatch, moving(9), moving(5), CLEAN, moving(2), lambda: quiet.append(1), CLEAN)
    monkeypatch.setattr(storage.engine, "groups", CLEAN)
    run(move(storage))
    assert quiet, "one quiet look was taken for the end"


def test_cancelling_half_way_gives_the_old_tier_back(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = move(storage)
    script(storage, monkeypatch, moving(90), moving(60), lambda: cancel(task, storage.admin))
    task = run(task)

    assert task.state == "cancelled"
    assert storage.engine.disks[0].device_class == "tier1"
    assert "CS0 is in tier 1 again; what has moved moves back by itself" in lines_of(task)
    assert storage.disk(0).tier == 1, "the pages know at once"


def test_a_worker_that_was_killed_is_followed_by_one_that_goes_on(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move(storage)
    die_in(change_tier, "move_data", task, monkeypatch)
    assert storage.engine.disks[0].device_class == "tier2"
    storage.engine.calls.clear()
    task = run(task)

    assert task.state == "completed"
    assert "set_device_class" not in storage.engine.calls
    assert [line for line in lines_of(task) if "already done" in line] == [
        "already done: CS0 is in tier 2",
        "already done",
    ]


def test_the_undo_leaves_a_class_that_somebody_else_gave(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = move(storage)

    def meanwhile() -> None:
        storage.engine.change(0, device_class="nvme")
        cancel(task, storage.admin)

    script(storage, monkeypatch, moving(90), meanwhile)
    run(task)
    assert storage.engine.disks[0].device_class == "nvme"
    assert "CS0 is left as it is" in lines_of(task)


def test_two_disks_that_leave_a_tier_at_once_do_not_break_a_pool(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both passed the check before either had gone."""
    storage.engine.make_rule("mooring-tier1", device_class="tier1", domain="host")
    storage.engine.add_pool("vms", rule="mooring-tier1", stored=1 << 20)
    storage.look()
    task = move(storage, 0)
    script(storage, monkeypatch, lambda: storage.engine.change(2, device_class="tier2"))
    task = run(task)

    assert task.state == "failed"
    assert "vms needs 3 hosts of tier 1, and without CS0 there are 2" in task.reason
    assert storage.engine.disks[0].device_class == "tier1"


def test_a_cluster_that_is_silent_for_a_while_is_waited_for(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = move(storage)

    def silent() -> None:
        raise Unreachable("storage1 does not answer", component="ceph")

    script(storage, monkeypatch, moving(9), silent, silent, CLEAN)
    assert run(task).state == "completed"


def test_the_same_request_twice_is_one_task_and_another_one_is_refused(storage: Storage) -> None:
    task = move(storage)
    storage.engine.change(0, device_class="tier2")
    storage.look()

    assert move(storage).pk == task.pk
    with pytest.raises(TaskConflict, match=rf"CS0 is being moved to another tier \(task {task.pk}\)"):
        disks.release(user=storage.admin, disk=storage.disk(0))


def test_the_tier_it_has_and_one_that_is_none_are_refused(storage: Storage) -> None:
    with pytest.raises(InvalidInput, match="CS0 is in tier 1 already"):
        move(storage, tier=1)
    with pytest.raises(InvalidInput, match="There is no tier 7"):
        move(storage, tier=7)


def test_an_operator_may_not(storage: Storage, operator: User) -> None:
    with pytest.raises(PermissionDenied):
        move(storage, user=operator)
    with pytest.raises(PermissionDenied):
        disks.release(user=operator, disk=storage.disk(0))
