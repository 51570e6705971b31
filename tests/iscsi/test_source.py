"""What the collector makes of looks at target servers: rows, and servers that are as they should be again."""

from typing import Any

import pytest

from infrastructure.drivers.errors import Refused, TimedOut, Unreachable
from iscsi.choices import ServerState, Stage
from iscsi.models import IscsiRevision, Target
from iscsi.observe.mending import Mender
from iscsi.observe.source import IscsiSource, Watch
from iscsi.services import reconcile as telling
from iscsi.services import targets, users
from iscsi.services.access import servers_on
from iscsi.services.target_input import Limits
from tasks.services import cancel
from tests.infrastructure.fake_nodes import run
from tests.iscsi.world import SECRET, World

ANA = "iqn.1993-08.org.debian:01:ana"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Collector:
    """A collector whose threads are joined after each look."""

    def __init__(self, world: World, node: str = "primary") -> None:
        self.clock = Clock()
        self.mender = Mender(clock=self.clock)
        self.watch = Watch(world.nodes[node], self.mender, servers_on, self.clock)

    def look(self, after: float = 2.0) -> None:
        self.clock.now += after
        self.watch.look()
        for known in self.mender._known.values():
            if known.thread is not None:
                known.thread.join(30)


@pytest.fixture
def collector(world: World, transactional_db: None) -> Collector:
    return Collector(world)


def target_row() -> Target:
    return Target.objects.get()


@pytest.mark.django_db(transaction=True)
class TestMending:
    """With threads of their own, which need what tests write to be committed."""

    def test_a_crashed_server_gets_everything_back_at_once(self, world: World, collector: Collector) -> None:
        chap = users.create(user=None, name="ana", secret=SECRET)
        target = world.target(chap_user=chap, initiators=[ANA], limits=Limits(100))
        lun = world.lun(target, 5)
        collector.look()
        servers = world.servers["primary"]
        servers.crash(1)
        assert servers.kept[1].target is None
        collector.look()
        assert world.shown(target) == {5: lun.image}
        assert servers.secrets(1) == {"ana": SECRET}
        assert servers.kept[1].target is not None and servers.kept[1].target.initiators == (ANA,)
        assert "free_image" in world.ceph.calls, "the dead server would hold the image for half a minute"
        assert (target_row().state, target_row().reason) == (ServerState.RUNNING, "")

    def test_a_node_that_was_switched_off_gets_its_servers_and_addresses_back(
        self, world: World, collector: Collector
    ) -> None:
        target = world.target()
        lun = world.lun(target)
        world.servers["primary"].power_off()
        collector.look()
        assert world.shown(target) == {1: lun.image}
        assert world.addresses("primary") == {"192.0.2.100"}

    def test_an_address_that_somebody_took_away_comes_back(self, world: World, collector: Collector) -> None:
        world.target()
        collector.look()
        servers = world.servers["primary"]
        servers.known = [each for each in servers.known if each.address != "192.0.2.100"]
        collector.look()
        assert world.addresses("primary") == set(), "a look does not tell of addresses"
        collector.look(after=61.0)
        assert world.addresses("primary") == {"192.0.2.100"}

    def test_what_fails_the_same_way_is_tried_with_pauses(self, world: World, collector: Collector) -> None:
        target = world.target()
        world.lun(target)
        servers = world.servers["primary"]
        servers.crash(1)
        servers.fail_next("add_lun", Refused("no", component="tgt"), times=999)
        for _ in range(30):
            collector.look()
        tries = servers.calls.count("add_lun")
        assert 2 < tries < 15
        assert (target_row().state, target_row().luns.get().served) == (ServerState.PARTLY, False)
        assert "LUN 1 is not served: no" in target_row().reason
        servers._faults["add_lun"].clear()
        collector.look(after=61.0)
        assert target_row().state == ServerState.RUNNING

    def test_one_whose_creation_failed_is_cleared_when_the_node_answers(
        self, world: World, collector: Collector
    ) -> None:
        target, task = world.ask_target()
        cut = Unreachable("cut off", component="ssh")
        world.servers["primary"].fail_next("open", cut)
        world.servers["primary"].fail_next("stop", cut)
        assert run(task).state == "failed"
        target.refresh_from_db()
        assert (target.stage, list(world.servers["primary"].kept)) == (Stage.FAILED, [1])
        collector.look()
        assert (world.servers["primary"].kept, world.addresses("primary")) == ({}, set())

    def test_a_server_of_no_target_is_ended_when_it_was_seen_twice(self, world: World, collector: Collector) -> None:
        target = world.target()
        Target.objects.filter(pk=target.pk).delete()
        collector.look()
        assert list(world.servers["primary"].kept) == [1]
        collector.look()
        assert world.servers["primary"].kept == {}

    def test_others_are_untouched_by_one_that_crashes(self, world: World, collector: Collector) -> None:
        world.target("one")
        second = world.target("two")
        collector.look()
        instance = world.servers["primary"].kept[second.number].instance
        world.servers["primary"].crash(1)
        collector.look()
        assert world.servers["primary"].kept[second.number].instance == instance

    def test_another_secret_reaches_the_server_though_its_task_never_ran(
        self, world: World, collector: Collector
    ) -> None:
        chap = users.create(user=None, name="ana", secret=SECRET)
        world.target(chap_user=chap)
        task = users.change_secret(user=None, chap=chap, secret="another-phrase")
        assert task is not None
        cancel(task, user=None)
        collector.look()
        assert world.servers["primary"].secrets(1) == {"ana": "another-phrase"}


def quiet(world: World) -> Watch:
    """A watch that only records."""
    clock = Clock()

    class Idle(Mender):
        def consider(self, *_: Any) -> bool:
            return False

    return Watch(world.nodes["primary"], Idle(clock=clock), servers_on, clock)


def test_only_news_take_a_revision(world: World) -> None:
    target = world.target()
    watch = quiet(world)
    watch.look()
    before = IscsiRevision.current()
    watch.look()
    assert IscsiRevision.current() == before
    world.servers["primary"].connect(target.number, ANA)
    watch.look()
    assert IscsiRevision.current() == before + 1
    assert target_row().sessions == [{"initiator": ANA, "address": "192.0.2.200"}]


def test_running_is_said_only_because_the_server_said_so(world: World) -> None:
    target = world.target()
    lun = world.lun(target)
    watch, servers = quiet(world), world.servers["primary"]
    servers.crash(1)
    watch.look()
    assert (target_row().state, target_row().reason) == (
        ServerState.FAILED,
        "Its server was started anew and has no target yet",
    )
    lun.refresh_from_db()
    assert not lun.served
    servers.kept[1].running = False
    watch.look()
    assert (target_row().state, target_row().reason) == (ServerState.FAILED, "It does not start")
    servers.kept.clear()
    watch.look()
    assert (target_row().state, target_row().reason) == (ServerState.FAILED, "Its node keeps no server for it")


def test_a_server_that_hangs_says_so(world: World) -> None:
    world.target()
    world.servers["primary"].kept[1].mute = True
    quiet(world).look()
    assert (target_row().state, target_row().reason) == (ServerState.FAILED, "Target server 1 does not answer")


def test_a_silent_node_is_told_after_a_while_and_what_is_known_stays(world: World) -> None:
    target = world.target()
    clock = Clock()
    watch = Watch(world.nodes["primary"], Mender(clock=clock), servers_on, clock)
    world.servers["primary"].fail_next("servers", TimedOut("No answer", component="ssh"), times=5)
    watch.look()
    assert (target_row().state, watch.late) == (ServerState.RUNNING, True)
    clock.now += 8.5
    watch.look()
    row = target_row()
    assert (row.state, row.reason, row.stage) == (
        ServerState.UNREACHABLE,
        "primary does not answer: No answer",
        Stage.READY,
    )
    rev = IscsiRevision.current()
    watch.look()
    assert IscsiRevision.current() == rev
    world.servers["primary"]._faults.clear()
    watch.look()
    assert (target_row().state, target.pk) == (ServerState.RUNNING, row.pk)


def test_a_target_that_a_task_makes_or_moves_is_left_to_it(world: World) -> None:
    target, _task = world.ask_target()
    for stage in (Stage.CREATING, Stage.RESTING, Stage.REMOVING):
        Target.objects.update(stage=stage)
        clock = Clock()
        Watch(world.nodes["primary"], Mender(clock=clock), servers_on, clock).look()
        assert world.servers["primary"].kept == {}
    assert Target.objects.get(pk=target.pk).state == ServerState.UNKNOWN


def test_nodes_are_followed_while_they_have_the_role_or_targets(world: World) -> None:
    source = IscsiSource(clock=(clock := Clock()), mender=Mender(clock=clock, mend=lambda _: telling.Outcome()))
    source._follow()
    assert {watch.node.name for watch in source._watches.values()} == {"primary", "secondnode1"}
    assert source.status() == {"iscsi_nodes": 2, "iscsi_late": 0}
    from iscsi.models import IscsiNode

    IscsiNode.objects.all().delete()
    source._follow()
    assert source._watches == {}


def test_stopped_is_stopped(world: World) -> None:
    target = world.target()
    run(targets.stop(user=None, target=target))
    quiet(world).look()
    assert (target_row().state, target_row().reason) == (ServerState.STOPPED, "")
