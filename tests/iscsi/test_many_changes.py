"""After many changes with faults between them, rows, servers and cluster say the same, and nothing is left over."""

import pytest

from infrastructure.drivers.errors import DriverError, Refused, Unreachable
from iscsi.models import Lun, Target
from storage.models import Datastore
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.iscsi.random_changes import Random, remove_all, settle
from tests.iscsi.test_killed_workers import CHANGES_OF_CEPH, CHANGES_OF_NODES
from tests.iscsi.world import World

POLICIES = ({"mode": "r2", "domain": "host"}, {"mode": "ec5-2", "domain": "osd"}, {"mode": "r3", "domain": "osd"})


class Broken(Random):
    """Now and then an engine fails, dies or loses its power."""

    world: World

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

    def after(self) -> None:
        self.world.storage.observe()


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
    dice = Broken(world, seed, POLICIES)
    run(dice.create())
    for _ in range(100):
        dice.one()
    assert Task.objects.filter(state__in=("completed", "warning")).count() > 20
    for engine in (world.ceph, *world.servers.values()):
        engine._faults.clear()
    settle()
    require_equal(world)
    remove_all()
    assert world.nothing_left()
