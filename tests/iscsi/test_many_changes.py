"""After many changes with faults between them, rows, servers and cluster say the same, and nothing is left over."""

import random
from collections.abc import Callable

import pytest

from infrastructure.drivers.errors import DriverError, Refused, Unreachable
from infrastructure.services.errors import ServiceError
from iscsi.choices import Sharing, Stage
from iscsi.models import Lun, Target
from iscsi.services import luns, targets
from iscsi.services.reconcile import reconcile
from iscsi.services.target_input import Limits
from storage.models import Datastore
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.iscsi.test_killed_workers import CHANGES_OF_CEPH, CHANGES_OF_NODES
from tests.iscsi.world import World

POLICIES = ({"mode": "r2", "domain": "host"}, {"mode": "ec5-2", "domain": "osd"}, {"mode": "r3", "domain": "osd"})


class Random:
    """Asks for anything that may be asked for."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.dice = world, random.Random(seed)
        self.made = 0

    def lun(self) -> Lun:
        return self.dice.choice(list(Lun.objects.select_related("target__node", "datastore__cluster")))

    def target(self) -> Target:
        return self.dice.choice(list(Target.objects.select_related("node")))

    def create(self) -> Task:
        self.made += 1
        limits = Limits(self.dice.choice((None, 100)), None, self.dice.choice(Sharing.values))
        node = self.dice.choice(("primary", "secondnode1"))
        return self.world.ask_target(f"t{self.made}", node, limits=limits)[1]

    def add(self) -> Task:
        policy = self.dice.choice(POLICIES)
        return self.world.ask_lun(self.target(), self.dice.randint(1, 4), **policy)[1]

    def grow(self) -> Task:
        lun = self.lun()
        return luns.grow(user=None, lun=lun, size_gib=(lun.size >> 30) + 1)

    def detach(self) -> Task:
        return luns.detach(user=None, lun=self.lun())

    def attach(self) -> Task:
        return luns.attach(user=None, lun=self.lun(), target=self.target(), number=self.dice.randint(1, 4))

    def delete(self) -> Task:
        lun = self.lun()
        return luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun))

    def move(self) -> Task:
        target = self.target()
        other = "secondnode1" if target.node.name == "primary" else "primary"
        return targets.move(user=None, target=target, node=self.world.nodes[other])

    def switch(self) -> Task:
        target = self.target()
        return (targets.stop if target.started else targets.start)(user=None, target=target)

    def remove(self) -> Task:
        target = self.target()
        return targets.delete(user=None, target=target, confirmation=target.name)

    def one(self) -> None:
        """One change, before which something may break."""
        usual = [self.create, self.add, self.add, self.add, self.grow, self.detach, self.attach, self.delete]
        ask: Callable[[], Task] = self.dice.choice([*usual, self.move, self.switch, self.remove])
        self.break_something()
        try:
            task = ask()
        except (ServiceError, IndexError):
            return  # refused, or there is nothing to do it with
        run(task)
        assert task.state in ("completed", "warning", "failed"), (task.title, task.reason)
        self.world.storage.observe()

    def break_something(self) -> None:
        engine = self.dice.choice([self.world.ceph, *self.world.servers.values()])
        engine._faults.clear()
        kind = self.dice.random()
        if kind < 0.3:
            names = CHANGES_OF_CEPH if engine is self.world.ceph else CHANGES_OF_NODES
            error: DriverError = self.dice.choice(
                (Refused("no", component="tgt"), Unreachable("cut off", component="ssh"))
            )
            engine.fail_next(self.dice.choice(names), error)
        elif kind < 0.45 and engine is not self.world.ceph and engine.kept:
            engine.crash(self.dice.choice(list(engine.kept)))
        elif kind < 0.5 and engine is not self.world.ceph:
            engine.power_off()


def settle(world: World) -> None:
    """What the collector does when nothing breaks any more, and the end of what could only be begun."""
    for engine in (world.ceph, *world.servers.values()):
        engine._faults.clear()
    for lun in Lun.objects.exclude(stage=Stage.READY):
        assert run(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun))).state == "completed"
    for target in Target.objects.exclude(stage=Stage.READY):
        assert run(targets.delete(user=None, target=target, confirmation=target.name)).state == "completed"
    for target in Target.objects.all():
        assert reconcile(target.pk).ok


def require_equal(world: World) -> None:
    kept = {(name, number) for name, servers in world.servers.items() for number in servers.kept}
    assert kept == {(each.node.name, each.number) for each in Target.objects.filter(started=True)}
    for target in Target.objects.filter(started=True):
        rows = {lun.number: lun.image for lun in target.luns.all()}
        assert world.shown(target) == rows
        shown = world.servers[target.node.name].kept[target.number].target
        assert shown is not None and shown.sizes == {lun.number: lun.size for lun in target.luns.all()}
    there = {(pool, image) for pool, images in world.ceph.images_by_pool.items() for image in images}
    assert there == {(lun.datastore.pool, lun.image) for lun in Lun.objects.all()}
    assert {key: world.ceph.sizes[key] for key in there} == {
        (lun.datastore.pool, lun.image): lun.size for lun in Lun.objects.all()
    }
    pools = {name for each in Datastore.objects.all() for name in (each.pool, each.data_pool)}
    assert set(world.ceph.pools_by_name) == pools
    assert Datastore.objects.filter(luns=None).count() == 0
    for name in world.servers:
        portals = Target.objects.filter(node__name=name, portals__added=True).values_list("portals__address", flat=True)
        assert world.addresses(name) == set(portals)


@pytest.mark.parametrize("seed", range(3))
def test_rows_servers_and_cluster_agree_after_a_hundred_changes(world: World, seed: int) -> None:
    dice = Random(world, seed)
    run(dice.create())
    for _ in range(100):
        dice.one()
    assert Task.objects.filter(state__in=("completed", "warning")).count() > 20
    settle(world)
    require_equal(world)
    for lun in Lun.objects.all():
        run(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun)))
    for target in Target.objects.all():
        run(targets.delete(user=None, target=target, confirmation=target.name))
    assert world.nothing_left()
