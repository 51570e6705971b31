"""LUNs: added, grown, rolled back, detached, attached, deleted; and taken back when that fails."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Conflict, Refused, Unreachable
from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError
from iscsi.choices import ServerState, Sharing, Stage
from iscsi.jobs import steps
from iscsi.models import Lun, Target
from iscsi.services import luns
from iscsi.services.target_input import Limits
from panel.accounts.models import User
from storage.jobs import patience
from storage.models import Datastore
from storage.services import observed as storage_observed
from tasks.lanes import admit
from tasks.models import Task
from tasks.services import retry
from tests.infrastructure.fake_nodes import commands_of, lines_of, run, steps_of
from tests.iscsi.world import World

GIB = 1 << 30
CODE = {"mode": "ec5-2", "domain": "osd"}
POOLS = {"mooring-lun.t2.meta-ec5-2.osd", "mooring-lun.t2.ec5-2.osd"}


def delete(lun: Lun) -> Task:
    lun = Lun.objects.select_related("target").get(pk=lun.pk)
    return run(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun)))


def again(lun: Lun) -> Lun:
    return Lun.objects.get(pk=lun.pk)


def test_the_first_lun_of_a_policy_makes_its_pools_and_is_shown(world: World) -> None:
    target = world.target()
    lun, task = world.ask_lun(target, size_gib=3, name="db-data", **CODE)
    assert (lun.stage, str(lun)) == (Stage.CREATING, "db-data")
    assert (run(task).state, task.reason) == ("completed", "")
    lun = again(lun)
    assert (lun.stage, lun.served, lun.size, world.shown(target)) == (Stage.READY, True, 3 * GIB, {1: lun.image})
    assert set(world.ceph.pools_by_name) == POOLS
    assert world.ceph.data_of[lun.datastore.pool, lun.image] == "mooring-lun.t2.ec5-2.osd"
    assert dict(world.ceph.pools_by_name[lun.datastore.pool].applications) == {"rbd": {"mooring": "lun"}}
    assert [title for title, _ in steps_of(task)][-4:] == [
        f"Making the image {lun.datastore.pool}/{lun.image}",
        "Setting its limits",
        "Recording db-data",
        "Telling the server of target1 on primary",
    ]
    assert any(
        line.startswith(f"rbd create {lun.datastore.pool}/{lun.image} --size 3072M") for line in commands_of(task)
    )


def test_luns_of_one_policy_share_pools_and_the_last_one_takes_them_along(world: World) -> None:
    target = world.target()
    first, second = world.lun(target, 1), world.lun(target, 2)
    assert (first.datastore, Datastore.objects.count()) == (second.datastore, 1)
    assert delete(first).state == "completed"
    assert len(world.ceph.pools_by_name) == 1
    assert delete(second).state == "completed"
    assert not Datastore.objects.exists() and not Lun.objects.exists()
    assert (world.ceph.pools_by_name, set(world.ceph.rules_by_name)) == ({}, {"replicated_rule"})
    assert world.shown(target) == {}


def test_two_administrators_who_add_lun_1_at_once_get_one(world: World, make_user: Callable[..., User]) -> None:
    target = world.target()
    ana, ben = make_user("ana", "administrator"), make_user("ben", "administrator")
    lun, task = world.ask_lun(target, user=ana)
    same, running = world.ask_lun(target, user=ben)
    assert (same.pk, running.pk, running.already_running) == (lun.pk, task.pk, True)
    with pytest.raises(InvalidInput, match=rf"LUN 1 is in use by task {task.pk}") as refusal:
        world.ask_lun(target, user=ben, size_gib=2)
    assert refusal.value.field == "number"
    run(task)
    with pytest.raises(InvalidInput, match="target1 has a LUN 1 already"):
        world.ask_lun(target, user=ben)
    assert len(world.ceph.images_by_pool[lun.datastore.pool]) == 1


def test_many_luns_of_a_new_policy_asked_for_at_once_are_all_made(world: World) -> None:
    target = world.target()
    asked = [world.ask_lun(target, number, **CODE)[1] for number in range(1, 6)]
    assert [task.state for task in asked] == ["queued", *["waiting"] * 4]
    assert "Tier 2, encoding 5+2 over disks" in asked[1].waiting_for
    for task in asked:
        admit()
        task.refresh_from_db()
        assert run(task).state == "completed", task.reason
    assert set(world.shown(target)) == {1, 2, 3, 4, 5}
    assert set(world.ceph.pools_by_name) == POOLS


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": 0}, "number"),
        ({"number": 256}, "number"),
        ({"size_gib": 0}, "size"),
        ({"size_gib": 65_537}, "size"),
        ({"size_gib": 500}, "size"),
        ({"tier": 4}, "tier"),
        ({"mode": "ec2-2"}, "mode"),
        ({"mode": "ec17-3", "domain": "host"}, "mode"),
        ({"domain": "chassis"}, "domain"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 41}, "name"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    target = world.target()
    with pytest.raises(ServiceError) as refusal:
        world.ask_lun(target, **changes)
    assert refusal.value.field == field
    assert not Lun.objects.exists() and not Datastore.objects.exists()


@pytest.mark.parametrize("name", ["'; DROP TABLE", "<script>alert(1)</script>", "$(id)", "../x", "a@snap", "-h", "ä ö"])
def test_a_name_from_hell_reaches_no_engine(world: World, name: str) -> None:
    lun = world.lun(world.target(), name=name)
    assert lun.name == name
    assert list(world.ceph.images_by_pool[lun.datastore.pool]) == [lun.image]
    assert lun.image.removeprefix("lun-").isalnum()


def test_a_near_full_tier_and_a_silent_cluster_are_refused(world: World) -> None:
    target = world.target()
    world.ceph.fill(0.86)
    world.storage.observe()
    with pytest.raises(NotPossible, match="near-full mark"):
        world.ask_lun(target)
    storage_observed.mark_unreachable(world.storage.row, "No monitor can be reached")
    with pytest.raises(NotPossible, match="has not answered"):
        world.ask_lun(target)


def test_only_who_manages_iscsi_may(world: World, operator: User) -> None:
    target = world.target()
    lun = world.lun(target)
    asks: list[Callable[[], object]] = [
        lambda: world.ask_lun(target, 2, user=operator),
        lambda: luns.grow(user=operator, lun=lun, size_gib=2),
        lambda: luns.take_snapshot(user=operator, lun=lun, name="one"),
        lambda: luns.roll_back(user=operator, lun=lun, name="one", confirmation="one"),
        lambda: luns.drop_snapshot(user=operator, lun=lun, name="one"),
        lambda: luns.detach(user=operator, lun=lun),
        lambda: luns.attach(user=operator, lun=lun, target=target, number=2),
        lambda: luns.delete(user=operator, lun=lun, confirmation="target1/1"),
    ]
    for ask in asks:
        with pytest.raises(PermissionDenied):
            ask()
    assert Task.objects.count() == 2


@pytest.mark.parametrize(
    "method",
    [
        "look",
        "make_rule",
        "make_profile",
        "make_coded_pool",
        "make_replicated_pool",
        "finish_pool",
        "make_image",
        "limit_image",
    ],
)
def test_a_failure_at_any_step_leaves_nothing_and_a_retry_makes_it(world: World, method: str) -> None:
    target = world.target(limits=Limits(100))
    lun, task = world.ask_lun(target, **CODE)
    world.ceph.fail_next(method, Refused("the manager says no", component="ceph"))
    assert run(task).state == "failed"
    assert again(lun).stage == Stage.FAILED
    assert world.ceph.pools_by_name == {} and set(world.ceph.rules_by_name) == {"replicated_rule"}
    assert world.ceph.profiles_by_name == {}
    assert run(retry(task)).state == "completed"
    assert world.shown(target) == {1: lun.image}


def test_a_failed_one_is_begun_again_only_as_it_was_or_deleted(world: World) -> None:
    target = world.target()
    lun, task = world.ask_lun(target)
    world.ceph.fail_next("make_image", Refused("no", component="ceph"))
    run(task)
    with pytest.raises(InvalidInput, match="begun with other settings"):
        world.ask_lun(target, size_gib=2)
    same, task = world.ask_lun(target)
    assert same.pk == lun.pk
    world.ceph.fail_next("make_image", Refused("no", component="ceph"))
    run(task)
    assert delete(lun).state == "completed"
    assert not Lun.objects.exists() and not Datastore.objects.exists()


def test_one_that_fails_leaves_the_pools_to_the_others(world: World) -> None:
    target = world.target()
    kept = world.lun(target, 1)
    _, task = world.ask_lun(target, 2)
    world.ceph.fail_next("make_image", Refused("no", component="ceph"))
    assert run(task).state == "failed"
    assert set(world.ceph.pools_by_name) == {kept.datastore.pool}
    assert again(kept).datastore.state == "ready"


def test_a_node_that_is_cut_off_gets_the_lun_when_it_answers(world: World) -> None:
    target = world.target()
    lun, task = world.ask_lun(target)
    world.servers["primary"].fail_next("look", Unreachable("cut off", component="ssh"))
    assert run(task).state == "warning"
    assert "as soon as primary answers" in task.reason
    assert (again(lun).stage, again(lun).served) == (Stage.READY, False)


def test_one_that_the_server_cannot_open_says_why_and_the_others_stay(world: World) -> None:
    target = world.target()
    first = world.lun(target)
    world.servers["primary"].images = {(first.datastore.pool, first.image): GIB}
    second, task = world.ask_lun(target, 2)
    assert run(task).state == "warning"
    assert "There is no image" in task.reason
    target.refresh_from_db()
    assert (target.state, again(first).served, again(second).served) == (ServerState.PARTLY, True, False)
    assert "There is no image" in again(second).reason


def test_limits_are_of_each_lun_or_divided_among_all(world: World) -> None:
    target = world.target(limits=Limits(1000, 100, Sharing.DIVIDED))
    first = world.lun(target, 1)
    key = (first.datastore.pool, first.image)
    assert (world.ceph.limits[key].iops, world.ceph.limits[key].bps) == (1000, 100_000_000)
    second = world.lun(target, 2)
    assert {limits.iops for limits in world.ceph.limits.values()} == {500}
    assert run(luns.detach(user=None, lun=second)).state == "completed"
    assert (world.ceph.limits[key].iops, world.ceph.limits[second.datastore.pool, second.image].iops) == (1000, 0)
    delete(second)
    assert world.ceph.limits[key].iops == 1000


def test_growing_is_seen_by_the_server_and_shrinking_refused(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    with pytest.raises(InvalidInput, match="cannot shrink"):
        luns.grow(user=None, lun=lun, size_gib=1)
    assert run(luns.grow(user=None, lun=lun, size_gib=2)).state == "completed"
    assert (again(lun).size, world.ceph.sizes[lun.datastore.pool, lun.image]) == (2 * GIB, 2 * GIB)
    kept = world.servers["primary"].kept[1].target
    assert kept is not None and kept.sizes == {1: 2 * GIB}


def test_a_snapshot_and_back(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    assert run(luns.take_snapshot(user=None, lun=lun, name="before")).state == "completed"
    assert [each.name for each in lun.snapshots.all()] == ["before"]
    with pytest.raises(InvalidInput, match="has a snapshot before already"):
        luns.take_snapshot(user=None, lun=lun, name="before")
    with pytest.raises(InvalidInput, match="Type before to confirm"):
        luns.roll_back(user=None, lun=lun, name="before", confirmation="yes")
    seen: list[dict[int, str]] = []
    roll_back = world.ceph.roll_back

    def watched(pool: str, image: str, name: str) -> None:
        seen.append(world.shown(target))
        roll_back(pool, image, name)

    world.ceph.roll_back = watched  # type: ignore[method-assign]
    task = run(luns.roll_back(user=None, lun=lun, name="before", confirmation="before"))
    assert (task.state, task.reason) == ("completed", "")
    assert seen == [{}], "nobody has it open meanwhile"
    assert world.shown(target) == {1: lun.image}
    assert world.ceph.rolled_back == [(lun.image, "before")]
    assert run(luns.drop_snapshot(user=None, lun=lun, name="before")).state == "completed"
    assert not lun.snapshots.exists()


def test_a_silent_cluster_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0)
    target = world.target(limits=Limits(iops=100))

    def silent(*calls: str) -> None:
        for call in calls:
            world.ceph.fail_next(call, Unreachable("Ceph is silent", component="ceph"))

    silent("make_image", "limit_image")
    lun = world.lun(target)
    silent("resize_image", "take_snapshot", "snapshots", "roll_back", "remove_image")
    tasks = [
        lambda: luns.grow(user=None, lun=again(lun), size_gib=2),
        lambda: luns.take_snapshot(user=None, lun=again(lun), name="before"),
        lambda: luns.roll_back(user=None, lun=again(lun), name="before", confirmation="before"),
        lambda: luns.delete(user=None, lun=again(lun), confirmation="target1/1"),
    ]
    assert [run(ask()).state for ask in tasks] == ["completed"] * 4


def test_one_that_was_rolled_back_in_part_is_given_to_nobody(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    run(luns.take_snapshot(user=None, lun=lun, name="before"))
    world.ceph.fail_next("roll_back", Refused("Ceph does not want to", component="ceph"))
    task = run(luns.roll_back(user=None, lun=lun, name="before", confirmation="before"))
    assert (task.state, again(lun).stage, world.shown(target)) == ("failed", Stage.BROKEN, {})
    assert run(retry(task)).state == "completed"
    assert (again(lun).stage, world.shown(target)) == (Stage.READY, {1: lun.image})


@pytest.mark.parametrize("name", ["", "-a", "a b", "a@b", "a/b", "$(id)", "a\nb", "x" * 41, "ä"])
def test_snapshot_names_from_hell_are_refused(world: World, name: str) -> None:
    lun = world.lun(world.target())
    with pytest.raises(InvalidInput) as refusal:
        luns.take_snapshot(user=None, lun=lun, name=name)
    assert refusal.value.field == "name"


def test_detached_it_keeps_its_data_and_is_attached_elsewhere_under_another_number(world: World) -> None:
    first, second = world.target("one"), world.target("two", "secondnode1")
    lun = world.lun(first)
    assert run(luns.detach(user=None, lun=lun)).state == "completed"
    assert (again(lun).target, again(lun).number, world.shown(first)) == (None, None, {})
    assert run(luns.attach(user=None, lun=again(lun), target=second, number=7)).state == "completed"
    assert world.shown(second) == {7: lun.image}
    assert again(lun).served


def test_one_whose_server_may_still_show_it_is_not_detached(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    world.servers["primary"].fail_next("look", Unreachable("cut off", component="ssh"))
    assert run(luns.detach(user=None, lun=lun)).state == "failed"
    assert (again(lun).target, again(lun).stage) == (target, Stage.READY)
    kept = world.servers["primary"].kept[1].target
    assert kept is not None
    kept.busy.add(1)
    task = run(luns.detach(user=None, lun=lun))
    assert task.state == "failed" and "Commands on LUN 1 do not end" in task.reason
    assert (again(lun).target, again(lun).stage) == (target, Stage.READY)


def test_two_luns_cannot_have_one_number(world: World) -> None:
    target = world.target()
    first, second = world.lun(target, 1), world.lun(target, 2)
    run(luns.detach(user=None, lun=first))
    with pytest.raises(InvalidInput, match="target1 has a LUN 2 already"):
        luns.attach(user=None, lun=again(first), target=target, number=2)
    assert again(second).number == 2


def test_an_attachment_that_fails_leaves_it_detached(world: World) -> None:
    target = world.target(limits=Limits(100))
    lun = world.lun(target)
    run(luns.detach(user=None, lun=lun))
    task = luns.attach(user=None, lun=again(lun), target=target, number=2)
    world.ceph.fail_next("limit_image", Refused("no", component="ceph"))
    assert run(task).state == "failed"
    assert (again(lun).target, again(lun).number, again(lun).stage) == (None, None, Stage.READY)
    assert run(retry(task)).state == "completed"
    assert world.shown(target) == {2: lun.image}


def test_deleting_needs_words_and_takes_snapshots_along(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    run(luns.take_snapshot(user=None, lun=lun, name="one"))
    with pytest.raises(InvalidInput, match="Type target1/1 to confirm"):
        luns.delete(user=None, lun=lun, confirmation="target1")
    assert delete(lun).state == "completed"
    assert not Lun.objects.exists() and world.ceph.pools_by_name == {}


def test_an_image_that_somebody_has_open_is_waited_for_and_not_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = world.target()
    lun = world.lun(target)
    busy = Conflict("It is in use", code="image-busy", component="ceph", retryable=True)
    world.ceph.fail_next("remove_image", busy, times=3)
    with monkeypatch.context() as impatient:
        impatient.setattr(steps, "BUSY_SECONDS", 0.0)
        task = delete(lun)
    assert task.state == "failed" and "is in use" in task.reason
    assert again(lun).stage == Stage.READY
    monkeypatch.setattr(steps, "PAUSE_SECONDS", 0.0)
    assert run(retry(task)).state == "completed"
    assert not Lun.objects.exists() and not Datastore.objects.exists()


@pytest.mark.parametrize("method", ["remove_pool", "remove_rule"])
def test_a_deletion_that_fails_after_its_image_is_gone_can_only_go_on(world: World, method: str) -> None:
    lun = world.lun(world.target())
    world.ceph.fail_next(method, Refused("no", component="ceph"))
    task = delete(lun)
    assert (task.state, again(lun).stage) == ("failed", Stage.PARTLY)
    assert run(retry(task)).state == "completed"
    assert not Lun.objects.exists() and not Datastore.objects.exists()
    assert world.ceph.pools_by_name == {}


def test_a_target_with_a_lun_being_added_is_not_moved_meanwhile(world: World) -> None:
    from iscsi.services import targets
    from tasks.errors import TaskConflict

    target = world.target()
    _, task = world.ask_lun(target)
    with pytest.raises(TaskConflict, match=rf"task {task.pk}"):
        targets.move(user=None, target=Target.objects.get(), node=world.nodes["secondnode1"])


def test_a_second_lun_that_cannot_be_opened_by_ceph_does_not_undo_the_first(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    world.servers["primary"].fail_next("add_lun", Conflict("blocked", component="tgt", retryable=True), times=9)
    _, task = world.ask_lun(target, 2)
    assert run(task).state == "warning"
    assert world.shown(target) == {1: lun.image}
    assert "blocked" in " ".join(lines_of(task))
