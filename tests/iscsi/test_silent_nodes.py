"""Targets whose node does not answer: they go on without it when somebody says so; it is tidied up when it returns."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import html

from infrastructure.drivers.errors import DriverError, Refused, TimedOut, Unreachable
from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput, NotPossible
from iscsi.choices import ServerState, Stage
from iscsi.models import LeftServer, Lun, Portal, Target
from iscsi.observe.mending import Mender
from iscsi.observe.source import Watch
from iscsi.services import roles, targets
from iscsi.services.access import servers_on
from iscsi.services.reconcile import Outcome, reconcile
from iscsi.services.wanted import served_luns
from panel.accounts.models import User
from tasks.models import Task
from tests.infrastructure.fake_nodes import commands_of, lines_of, run
from tests.iscsi.world import OWN, World

CUT = Unreachable("No route to primary", component="ssh")
THERE = f"{OWN['primary']}:0/7"  # the server, as Ceph sees it
ELSEWHERE = "192.0.2.77:0/8"


@pytest.fixture
def target(world: World) -> Target:
    """A target with LUN 1 on primary, which has been silent since."""
    made = world.target()
    lun = world.lun(made)
    world.ceph.watchers[lun.datastore.pool, lun.image] = [THERE]
    silence(world)
    return Target.objects.get(pk=made.pk)


def silence(world: World, error: Exception = CUT) -> None:
    Node.objects.filter(name="primary").update(state="unreachable")
    for method in ("look", "servers", "stop", "addresses"):
        world.servers["primary"].fail_next(method, error, times=99)  # type: ignore[arg-type]


def answers(world: World) -> Watch:
    """The node is back, with all that ran on it; who looks at it from now on."""
    Node.objects.filter(name="primary").update(state="online")
    world.servers["primary"]._faults.clear()
    return Watch(world.nodes["primary"], Mender(mend=lambda _id: Outcome()), servers_on, lambda: 0.0)


def move(world: World, target: Target, **more: Any) -> Task:
    return run(targets.move(user=None, target=target, node=world.nodes["secondnode1"], without_node=True, **more))


def test_nobody_goes_on_without_a_node_unasked(world: World, target: Target) -> None:
    for ask in (
        lambda: targets.move(user=None, target=target, node=world.nodes["secondnode1"]),
        lambda: targets.delete(user=None, target=target, confirmation="target1"),
    ):
        with pytest.raises(InvalidInput, match="primary does not answer") as refusal:
            ask()
        assert refusal.value.field == "without_node"
    assert world.ceph.blocklist == []


def test_a_node_whose_ssh_alone_is_silent_is_silent_too(world: World, target: Target) -> None:
    """libvirt may answer where the server of a target cannot be told anything."""
    Node.objects.filter(name="primary").update(state="online")
    Target.objects.update(state=ServerState.UNREACHABLE)
    with pytest.raises(InvalidInput, match="primary does not answer"):
        targets.move(user=None, target=Target.objects.get(), node=world.nodes["secondnode1"])
    assert move(world, Target.objects.get()).state == "warning"


@pytest.mark.parametrize("error", [CUT, TimedOut("No answer in time", component="ssh")])
def test_it_moves_away_and_what_may_still_run_there_is_shut_out_first(
    world: World, target: Target, error: Exception
) -> None:
    silence(world, error)
    task = move(world, target)
    assert (task.state, "Until then the node must not be on the network" in task.reason) == ("warning", True)
    target.refresh_from_db()
    assert (target.node.name, target.stage, target.state) == ("secondnode1", Stage.READY, ServerState.RUNNING)
    assert set(world.shown(target)) == {1}
    calls = world.ceph.calls
    assert world.ceph.blocklist == [THERE] and "free_image" in calls[calls.index("shut_out") :]
    assert f"ceph osd blocklist add {THERE} 2592000" in commands_of(task)
    assert any("No route" in line or "No answer" in line for line in lines_of(task))
    assert world.servers["primary"].kept, "the silent node was told nothing"


def test_a_node_that_answers_again_is_rid_of_what_was_left(
    world: World, target: Target, administrator: User, client_of: Callable[[User], Any]
) -> None:
    move(world, target)
    page = client_of(administrator).get("/iscsi/nodes/").content.decode()
    row = " ".join(html.fromstring(page).xpath(f'//*[@id="row-node-{world.nodes["primary"].pk}"]')[0].itertext())
    assert "No contact" in row and "Left to remove when it answers: target1" in row
    watch = answers(world)
    other = world.target("target2")  # is not given the number of the one that may still run
    assert other.number == 2
    watch.look()
    assert set(world.servers["primary"].kept) == {2}
    assert world.addresses("primary") == set(Portal.objects.filter(target=other).values_list("address", flat=True))
    assert not LeftServer.objects.exists()
    assert world.addresses("secondnode1") == {"192.0.2.100"}


def test_what_cannot_be_removed_yet_is_tried_again(world: World, target: Target) -> None:
    move(world, target)
    watch = answers(world)
    world.servers["primary"].fail_next("remove_address", Unreachable("gone again", component="ssh"))
    watch.look()
    assert (LeftServer.objects.count(), watch.late) == (1, True)
    watch.look()
    assert (LeftServer.objects.count(), world.addresses("primary"), watch.late) == (0, set(), False)


def test_an_image_that_a_stranger_has_open_is_not_taken(world: World, target: Target) -> None:
    lun = Lun.objects.get()
    world.ceph.watchers[lun.datastore.pool, lun.image] = [THERE, ELSEWHERE]
    task = move(world, target)
    assert (task.state, ELSEWHERE in task.reason) == ("failed", True)
    target.refresh_from_db()
    assert (target.node.name, target.stage, world.ceph.blocklist) == ("primary", Stage.READY, [])
    assert (target.number, LeftServer.objects.exists()) == (1, False), "it goes on as it is when the node answers"
    assert world.servers["secondnode1"].kept == {}


def test_a_node_that_initiators_still_reach_keeps_its_target(world: World, target: Target) -> None:
    """Only the panel does not reach it: two machines would have the address."""
    world.servers["secondnode1"].foreign.add("192.0.2.100")
    task = move(world, target)
    assert (task.state, "primary is on the network and may serve target1" in task.reason) == ("failed", True)
    assert (world.ceph.blocklist, LeftServer.objects.exists()) == ([], False)
    target.refresh_from_db()
    assert (target.node.name, target.stage, target.number) == ("primary", Stage.READY, 1)


def test_where_it_cannot_be_found_out_who_answers_nothing_is_changed(world: World, target: Target) -> None:
    world.servers["secondnode1"].fail_next("is_answered", DriverError("no arping", component="host"))
    assert move(world, target).state == "failed"
    assert (world.ceph.blocklist, LeftServer.objects.exists()) == ([], False)


def test_the_role_stays_until_what_was_left_is_gone(world: World, target: Target) -> None:
    move(world, target)
    with pytest.raises(NotPossible, match="still has what a target left"):
        roles.withdraw(user=None, node=world.nodes["primary"])
    answers(world).look()
    assert run(roles.withdraw(user=None, node=world.nodes["primary"])).state == "completed"


def test_a_move_that_fails_there_leaves_it_where_it_was_under_another_number(world: World, target: Target) -> None:
    """The server that was shut out has its images open and can do nothing with them: it must be started anew."""
    world.servers["secondnode1"].fail_next("make_target", Refused("no room", component="tgt"))
    assert move(world, target).state == "failed"
    target.refresh_from_db()
    assert (target.node.name, target.stage, target.number) == ("primary", Stage.READY, 2)
    assert world.addresses("secondnode1") == set()
    answers(world).look()
    assert world.servers["primary"].kept == {}
    assert world.addresses("primary") == {"192.0.2.100"}, "its portal is wanted there again"
    assert reconcile(target.pk).ok
    assert world.shown(target) == {lun.number: lun.image for lun in served_luns(target)}


def test_deleting_shuts_it_out_keeps_the_data_and_tidies_up_later(world: World, target: Target) -> None:
    task = run(targets.delete(user=None, target=target, confirmation="target1", without_node=True))
    assert (task.state, world.ceph.blocklist) == ("warning", [THERE])
    lun = Lun.objects.get()
    assert (lun.target, lun.words) == (None, "Detached")
    assert world.ceph.images_by_pool[lun.datastore.pool] == [lun.image]
    assert not Target.objects.exists()
    answers(world).look()
    assert (world.servers["primary"].kept, world.addresses("primary")) == ({}, set())


def test_a_node_that_answers_after_all_is_left_in_order(world: World, target: Target) -> None:
    """Who went on without it said what may be done, not what must."""
    world.servers["primary"]._faults.clear()
    assert move(world, target).state == "completed"
    assert (world.ceph.blocklist, world.servers["primary"].kept, world.addresses("primary")) == ([], {}, set())
    assert not LeftServer.objects.exists()
