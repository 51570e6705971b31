"""A worker that dies at any moment: the next one ends what it began, or takes it back, and nothing is left over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infrastructure.drivers.errors import Refused
from iscsi.choices import Stage
from iscsi.models import Lun, Target
from iscsi.services import luns, targets, turns
from iscsi.services.portals import Wish
from iscsi.services.target_input import Limits
from storage.models import Datastore
from tasks.models import Task
from tasks.reaper import take_over
from tasks.runner import execute
from tests.iscsi.world import World

CODE = {"mode": "ec5-2", "domain": "osd"}
CHANGES_OF_CEPH = (
    "make_rule", "make_profile", "make_coded_pool", "make_replicated_pool", "set_default_data_pool", "make_image",
    "limit_image", "remove_image", "remove_pool", "remove_rule", "remove_profile", "roll_back", "resize_image",
)  # fmt: skip
CHANGES_OF_NODES = (
    "add_address", "remove_address", "start", "stop", "make_target", "set_accounts", "open", "add_lun", "remove_lun",
)  # fmt: skip


class Killed(BaseException):
    """What no job catches."""


@contextmanager
def dying(world: World, at: int, *, after: bool) -> Iterator[list[str]]:
    """The worker dies before or after its n-th change of a node or of Ceph, counted from 0."""
    done: list[str] = []
    engines: list[tuple[Any, str]] = [(world.ceph, name) for name in CHANGES_OF_CEPH]
    engines += [(servers, name) for servers in world.servers.values() for name in CHANGES_OF_NODES]

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            number = len(done)
            done.append(name)
            if number == at and not after:
                raise Killed
            found = call(*args, **kwargs)
            if number == at:
                raise Killed
            return found

        return change

    for engine, name in engines:
        setattr(engine, name, wrapped(name, getattr(engine, name)))
    try:
        yield done
    finally:
        for engine, name in engines:
            delattr(engine, name)


def followed(task: Task) -> Task:
    """The worker is dead: another one takes the task up."""
    # The turn of a dead one ends by itself after a while.
    Target.objects.update(turn="", turn_until=None)
    take_over(task.pk, task.attempt, task.heartbeat, 10)
    execute(task.pk, worker="next")
    task.refresh_from_db()
    return task


def deaths(world: World, ask: Callable[[], Task], *, most: int = 40) -> Iterator[Task]:
    """The task, asked for anew each time, after a worker died at each of its changes in turn and the next one ended."""
    for at in range(most):
        task = ask()
        died = False
        try:
            with dying(world, at // 2, after=bool(at % 2)):
                execute(task.pk, worker="first")
        except Killed:
            died = True
        task.refresh_from_db()
        yield followed(task) if died else task
        if not died:
            return
    raise AssertionError("it never got to its end")


def clean(world: World) -> None:
    for lun in Lun.objects.all():
        execute(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun)).pk)
    for target in Target.objects.all():
        execute(targets.delete(user=None, target=target, confirmation=target.name).pk)
    assert world.nothing_left()
    assert not Lun.objects.exists() and not Datastore.objects.exists() and not Target.objects.exists()


def test_creating_a_target(world: World) -> None:
    for task in deaths(world, lambda: world.ask_target()[1]):
        assert (task.state, task.reason) == ("completed", "")
        assert Target.objects.get().stage == Stage.READY
        clean(world)


def test_adding_the_first_lun_of_a_policy(world: World) -> None:
    def ask() -> Task:
        return world.ask_lun(world.target(limits=Limits(100)), **CODE)[1]

    for task in deaths(world, ask):
        assert (task.state, task.reason) == ("completed", "")
        lun = Lun.objects.get()
        assert (lun.stage, world.shown(Target.objects.get())) == (Stage.READY, {1: lun.image})
        clean(world)


def test_deleting_the_last_lun_of_a_policy(world: World) -> None:
    def ask() -> Task:
        lun = world.lun(world.target("again"), **CODE)
        return luns.delete(user=None, lun=lun, confirmation="again/1")

    for task in deaths(world, ask):
        assert (task.state, task.reason) == ("completed", "")
        assert not Lun.objects.exists() and world.ceph.pools_by_name == {}
        clean(world)


def test_moving_a_target(world: World) -> None:
    def ask() -> Task:
        target = world.target()
        world.lun(target)
        return targets.move(user=None, target=target, node=world.nodes["secondnode1"])

    for task in deaths(world, ask):
        target = Target.objects.get()
        assert (task.state, task.reason) == ("completed", "")
        assert (target.node.name, len(world.shown(target)), world.addresses("primary")) == ("secondnode1", 1, set())
        assert world.servers["primary"].kept == {}
        clean(world)


def test_editing_a_target(world: World) -> None:
    def ask() -> Task:
        target = world.target()
        wishes = [Wish("192.0.2.150/24", "br0")]
        return targets.edit(user=None, target=target, wishes=wishes, chap_user=None, initiators=["iqn.2000-01.a:b"])

    for task in deaths(world, ask):
        assert (task.state, task.reason) == ("completed", "")
        assert world.addresses("primary") == {"192.0.2.150"}
        clean(world)


def test_detaching_and_rolling_back(world: World) -> None:
    def detach() -> Task:
        return luns.detach(user=None, lun=world.lun(world.target(limits=Limits(100))))

    for task in deaths(world, detach):
        assert (task.state, Lun.objects.get().target) == ("completed", None)
        clean(world)

    def back() -> Task:
        lun = world.lun(world.target())
        execute(luns.take_snapshot(user=None, lun=lun, name="one").pk)
        return luns.roll_back(user=None, lun=lun, name="one", confirmation="one")

    for task in deaths(world, back):
        lun = Lun.objects.get()
        assert (task.state, lun.stage, world.shown(Target.objects.get())) == ("completed", Stage.READY, {1: lun.image})
        clean(world)


@pytest.mark.parametrize("death", range(6))
def test_one_who_dies_while_taking_back_is_followed_by_one_who_goes_on(world: World, death: int) -> None:
    _, task = world.ask_lun(world.target(limits=Limits(100)), **CODE)
    world.ceph.fail_next("limit_image", Refused("no", component="ceph"))
    died = False
    try:
        # Seven changes are made first: rule, profile, two pools, where data lies, image, limit.
        with dying(world, 7 + death, after=bool(death % 2)):
            execute(task.pk, worker="first")
    except Killed:
        died = True
    task.refresh_from_db()
    task = followed(task) if died else task
    assert (task.state, Lun.objects.get().stage) == ("failed", Stage.FAILED)
    assert world.ceph.pools_by_name == {} and not any(world.ceph.images_by_pool.values())
    clean(world)


def test_a_turn_that_a_dead_worker_held_ends_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from django.utils import timezone

    target = world.target()
    Target.objects.update(turn="dead", turn_until=timezone.now() + timedelta(seconds=20))
    with pytest.raises(Exception, match="being told something else"), turns.taken(target.pk, wait=0):
        pass
    Target.objects.update(turn_until=timezone.now() - timedelta(seconds=1))
    with turns.taken(target.pk, wait=0):
        assert Target.objects.get().turn != "dead"
    Target.objects.update(turn="dead", turn_until=timezone.now() + timedelta(hours=1))
    with turns.taken(target.pk, wait=0):  # the clock was set back since
        pass
    assert Target.objects.get().turn == ""
