"""Targets from request to server: created, edited, started, stopped, moved, deleted; and taken back when that fails."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Conflict, Refused, Unreachable
from infrastructure.models import Node
from infrastructure.services import nodes as node_service
from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError, StaleEdit
from iscsi.choices import ServerState, Stage
from iscsi.models import IscsiNode, Portal, Target
from iscsi.services import roles, targets, users
from iscsi.services.portals import Wish
from iscsi.services.target_input import Limits
from panel.accounts.models import User
from tasks.errors import TaskConflict
from tasks.models import Task
from tasks.services import retry
from tests.infrastructure.fake_nodes import commands_of, lines_of, run, steps_of
from tests.iscsi.world import IQN, OWN, SECRET, World


def chap(name: str = "chap-lab") -> Any:
    return users.create(user=None, name=name, secret=SECRET)


def edit(target: Target, **changes: Any) -> Task:
    usual = {"wishes": [Wish(each.address) for each in target.portals.all()], "chap_user": target.chap_user}
    return run(targets.edit(user=None, target=target, **{**usual, **changes}))


def test_a_target_gets_an_address_a_server_and_its_users(world: World) -> None:
    target, task = world.ask_target(chap_user=chap(), initiators=["iqn.1993-08.org.debian:01:aa"])
    assert (target.iqn, target.number, target.stage) == (IQN, 1, Stage.CREATING)
    assert (run(task).state, task.reason) == ("completed", "")
    target.refresh_from_db()
    assert (target.stage, target.state, target.reason) == (Stage.READY, ServerState.RUNNING, "")
    servers = world.servers["primary"]
    assert servers.kept[1].spec.portals == ("192.0.2.100",)
    assert (servers.secrets(1), world.addresses("primary")) == ({"chap-lab": SECRET}, {"192.0.2.100"})
    assert steps_of(task) == [
        ("Checking primary", "completed"),
        ("Starting the server of target1 on primary", "completed"),
        ("Recording target1", "completed"),
    ]
    shown = commands_of(task)
    assert "ip address add 192.0.2.100/24 dev br0" in shown
    assert not any(SECRET in line for line in [*lines_of(task), *shown, str(task.params)])


def test_an_address_that_the_node_has_is_used_and_stays_when_the_target_goes(world: World) -> None:
    target = world.target(wishes=[Wish(OWN["primary"])])
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "completed"
    assert {each.address for each in world.servers["primary"].known} == {OWN["primary"]}
    assert world.nothing_left()


def test_two_targets_have_two_servers(world: World) -> None:
    first, second = world.target("one"), world.target("two")
    assert (first.number, second.number) == (1, 2)
    assert set(world.servers["primary"].kept) == {1, 2}


@pytest.mark.parametrize("method", ["add_address", "prepare", "start", "make_target", "set_accounts", "open", "look"])
def test_a_failure_at_any_step_leaves_nothing_and_a_retry_makes_it(world: World, method: str) -> None:
    target, task = world.ask_target(chap_user=chap())
    world.servers["primary"].fail_next(method, Refused("the node says no", component="tgt"))
    assert run(task).state == "failed"
    assert "the node says no" in task.reason
    assert world.nothing_left()
    target.refresh_from_db()
    assert target.stage == Stage.FAILED
    assert run(retry(task)).state == "completed"
    assert world.servers["primary"].secrets(1) == {"chap-lab": SECRET}


def test_a_failed_one_can_be_deleted(world: World) -> None:
    target, task = world.ask_target()
    world.servers["primary"].fail_next("start", Conflict("taken", component="tgt"))
    run(task)
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "completed"
    assert not Target.objects.exists() and not Portal.objects.exists()


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a b", "a:b", "../x", "$(id)", ";id", "a\nb", "a\0", "ä", "<b>", "x" * 41, "a,b", "a..b"]
)
def test_names_from_hell_are_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        world.ask_target(name)
    assert refusal.value.field == "name"
    assert not Target.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"wishes": []}, "portals"),
        ({"wishes": [Wish("192.0.2.99")]}, "portals"),
        ({"wishes": [Wish("192.0.2.12/24", "br0")]}, "portals"),
        ({"wishes": [Wish("192.0.2.50", "br0")]}, "address"),
        ({"wishes": [Wish("192.0.2.255/24", "br0")]}, "address"),
        ({"wishes": [Wish("127.0.0.1/8", "br0")]}, "address"),
        ({"wishes": [Wish("224.0.0.1/24", "br0")]}, "address"),
        ({"wishes": [Wish("$(id)/24", "br0")]}, "address"),
        ({"wishes": [Wish("192.0.2.50/24", "eth0;id")]}, "interface"),
        ({"wishes": [Wish("198.51.100.7/24", "")]}, "interface"),
        ({"wishes": [Wish("192.0.2.50/24", "br0"), Wish("192.0.2.50/24", "br0")]}, "portals"),
        ({"initiators": ["iqn.1998-01.com.example"]}, "initiators"),
        ({"initiators": ["iqn.1998-01.com.example:a,ALL"]}, "initiators"),
        ({"initiators": ["ALL"]}, "initiators"),
        ({"limits": Limits(iops=0)}, "iops"),
        ({"limits": Limits(mbps=-1)}, "bandwidth"),
        ({"limits": Limits(sharing="mine")}, "sharing"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        world.ask_target(**changes)
    assert refusal.value.field == field
    assert not Target.objects.exists() and not Task.objects.exists()


def test_an_address_belongs_to_one_target(world: World) -> None:
    world.target(wishes=[Wish(OWN["primary"])])
    with pytest.raises(InvalidInput, match="is a portal of target1"):
        world.ask_target("other", wishes=[Wish(OWN["primary"])])


def test_a_name_that_is_taken_is_refused(world: World) -> None:
    world.target()
    with pytest.raises(InvalidInput, match="There is a target named target1 already"):
        world.ask_target("TARGET1")


def test_a_node_without_the_role_gets_no_target(world: World) -> None:
    IscsiNode.objects.all().delete()
    with pytest.raises(NotPossible, match="does not have the role iSCSI"):
        world.ask_target()


def test_only_who_manages_iscsi_may(world: World, viewer: User, operator: User) -> None:
    target = world.target()
    for user in (viewer, operator):
        for ask in (targets.start, targets.stop):
            with pytest.raises(PermissionDenied):
                ask(user=user, target=target)
        with pytest.raises(PermissionDenied):
            targets.delete(user=user, target=target, confirmation="target1")
    assert Task.objects.count() == 1


def test_stopping_ends_the_server_and_starting_brings_it_back_with_its_luns(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    assert run(targets.stop(user=None, target=target)).state == "completed"
    target.refresh_from_db()
    assert (target.state, target.started, world.servers["primary"].kept) == (ServerState.STOPPED, False, {})
    lun.refresh_from_db()
    assert (lun.served, lun.words) == (False, "Target is stopped")
    assert run(targets.start(user=None, target=target)).state == "completed"
    assert world.shown(target) == {1: lun.image}
    target.refresh_from_db()
    assert target.state == ServerState.RUNNING


def test_a_stop_that_fails_is_wanted_no_more(world: World) -> None:
    target = world.target()
    world.servers["primary"].fail_next("stop", Refused("no", component="tgt"))
    assert run(targets.stop(user=None, target=target)).state == "failed"
    target.refresh_from_db()
    assert (target.started, target.state) == (True, ServerState.RUNNING)


def test_editing_changes_users_initiators_limits_and_portals(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    task = edit(
        target,
        wishes=[Wish("192.0.2.150/24", "br0")],
        chap_user=chap(),
        mutual_user=chap("panel"),
        initiators=["iqn.1993-08.org.debian:01:aa", "", "IQN.1993-08.org.debian:01:AA"],
        limits=Limits(500, 20),
    )
    assert (task.state, task.reason) == ("completed", "")
    servers = world.servers["primary"]
    kept = servers.kept[1]
    assert kept.target is not None and kept.spec.portals == ("192.0.2.150",)
    assert kept.target.initiators == ("iqn.1993-08.org.debian:01:aa",)
    assert kept.target.mutual is not None and kept.target.mutual.user == "panel"
    assert world.addresses("primary") == {"192.0.2.150"}
    limits = world.ceph.limits[lun.datastore.pool, lun.image]
    assert (limits.iops, limits.bps) == (500, 20_000_000)


@pytest.mark.parametrize("method", ["add_address", "start", "set_accounts", "open"])
def test_an_edit_that_fails_leaves_it_as_it_was(world: World, method: str) -> None:
    target = world.target()
    before = targets.fingerprint(target)
    world.servers["primary"].fail_next(method, Refused("the node says no", component="tgt"))
    task = edit(target, wishes=[Wish("192.0.2.150/24", "br0")], chap_user=chap())
    assert task.state == "failed"
    assert targets.fingerprint(Target.objects.get()) == before
    assert world.addresses("primary") == {"192.0.2.100"}
    assert world.servers["primary"].kept[1].spec.portals == ("192.0.2.100",)
    assert world.servers["primary"].secrets(1) == {}


def test_a_server_that_does_not_answer_is_not_taken_for_one_that_is_as_it_should_be(world: World) -> None:
    target = world.target()
    world.servers["primary"].kept[1].mute = True
    task = edit(target, initiators=["iqn.1993-08.org.debian:01:aa"])
    assert task.state == "failed" and "does not answer" in task.reason
    assert Target.objects.get().initiators == []


def test_an_edit_of_what_somebody_changed_is_refused(world: World) -> None:
    target = world.target()
    seen = targets.fingerprint(target)
    edit(target, initiators=["iqn.1993-08.org.debian:01:aa"])
    with pytest.raises(StaleEdit):
        targets.edit(user=None, target=Target.objects.get(), wishes=[Wish("192.0.2.100")], chap_user=None, seen=seen)


def test_a_target_proves_itself_by_another_user_only(world: World) -> None:
    user = chap()
    for first, second in ((user, user), (None, user)):
        with pytest.raises(InvalidInput) as refusal:
            world.ask_target(chap_user=first, mutual_user=second)
        assert refusal.value.field == "mutual"


def test_it_moves_with_its_addresses_and_luns(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    task = run(targets.move(user=None, target=target, node=world.nodes["secondnode1"]))
    assert (task.state, task.reason) == ("completed", "")
    target.refresh_from_db()
    assert (target.node.name, target.state) == ("secondnode1", ServerState.RUNNING)
    assert (world.servers["primary"].kept, world.addresses("primary")) == ({}, set())
    assert world.addresses("secondnode1") == {"192.0.2.100"}
    assert world.shown(target) == {1: lun.image}


@pytest.mark.parametrize("method", ["prepare", "add_address", "start", "make_target"])
def test_a_move_that_fails_there_brings_it_back(world: World, method: str) -> None:
    target = world.target()
    lun = world.lun(target)
    world.servers["secondnode1"].fail_next(method, Refused("no room", component="tgt"))
    assert run(targets.move(user=None, target=target, node=world.nodes["secondnode1"])).state == "failed"
    target.refresh_from_db()
    assert (target.node.name, target.stage, target.state) == ("primary", Stage.READY, ServerState.RUNNING)
    assert world.shown(target) == {1: lun.image}
    assert (world.servers["secondnode1"].kept, world.addresses("secondnode1")) == ({}, set())


def test_a_target_is_never_started_elsewhere_while_its_node_may_serve_it(world: World) -> None:
    target = world.target()
    world.servers["primary"].fail_next("stop", Unreachable("cut off", component="ssh"))
    assert run(targets.move(user=None, target=target, node=world.nodes["secondnode1"])).state == "failed"
    assert world.servers["secondnode1"].kept == {}


def test_an_address_of_the_node_does_not_move(world: World) -> None:
    target = world.target(wishes=[Wish(OWN["primary"])])
    with pytest.raises(NotPossible, match="is primary's own and cannot go along"):
        targets.move(user=None, target=target, node=world.nodes["secondnode1"])


def test_deleting_detaches_its_luns_and_keeps_their_data(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    with pytest.raises(InvalidInput, match="Type target1 to confirm"):
        targets.delete(user=None, target=target, confirmation="target")
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "completed"
    lun.refresh_from_db()
    assert (lun.target, lun.number, lun.served, lun.words) == (None, None, False, "Detached")
    assert world.ceph.images_by_pool[lun.datastore.pool] == [lun.image]
    assert (world.servers["primary"].kept, world.addresses("primary")) == ({}, set())


def test_a_target_whose_node_is_silent_is_not_deleted(world: World) -> None:
    target = world.target()
    world.servers["primary"].fail_next("look", Unreachable("cut off", component="ssh"), times=9)
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "failed"
    target.refresh_from_db()
    assert target.stage == Stage.READY


def test_what_is_done_to_a_target_excludes_the_rest(world: World) -> None:
    target = world.target()
    task = targets.stop(user=None, target=target)
    for ask in (lambda: targets.start(user=None, target=target), lambda: world.ask_lun(target)):
        with pytest.raises(TaskConflict, match=rf"task {task.pk}"):
            ask()


def test_a_node_with_targets_is_not_removed(world: World, administrator: User) -> None:
    target = world.target()
    primary = world.nodes["primary"]
    with pytest.raises(NotPossible, match="primary has the target target1"):
        node_service.remove(user=administrator, node=primary)
    with pytest.raises(NotPossible, match="primary has the target target1"):
        roles.withdraw(user=None, node=primary)
    run(targets.delete(user=None, target=target, confirmation="target1"))
    assert run(roles.withdraw(user=None, node=primary)).state == "completed"
    assert not IscsiNode.objects.filter(node=primary).exists()
    assert world.servers["primary"].access is None


def test_a_removal_that_was_asked_for_before_the_target_came_fails(
    world: World, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = node_service.remove(user=administrator, node=world.nodes["primary"])
    Target.objects.create(name="late", iqn="iqn.2014-06.com.vstorage:late", node=world.nodes["primary"], number=1)
    assert run(task).state == "failed"
    assert "primary has the target late" in task.reason
    assert Node.objects.filter(name="primary").exists()


def test_a_role_that_cannot_be_given_says_why(world: World) -> None:
    node = world.nodes["primary"]
    world.servers["primary"].installed = False
    row: Callable[[], IscsiNode] = lambda: IscsiNode.objects.get(node=node)  # noqa: E731
    IscsiNode.objects.filter(node=node).update(state="failed")
    from infrastructure.drivers import registry
    from infrastructure.drivers.base import Completed
    from infrastructure.drivers.fake import FakeCluster
    from infrastructure.services.endpoints import endpoint_for
    from tests.infrastructure.inventory_facts import node_facts

    host = FakeCluster().add(endpoint_for(node), node_facts("primary"))
    host.run = lambda argv, **_: Completed(  # type: ignore[method-assign,misc]
        b"tgt installed\ntgt-rbd installed\niputils-arping installed\n", b"", 0
    )
    with registry.replaced("primary", host):
        assert run(roles.assign(user=None, node=node)).state == "failed"
        assert (row().state, row().reason) == ("failed", "tgt is not installed.")
        world.servers["primary"].installed = True
        assert run(roles.assign(user=None, node=node)).state == "completed"
    assert (row().state, row().reason) == ("ready", "")
