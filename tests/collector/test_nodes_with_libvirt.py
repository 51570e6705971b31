"""The whole way with libvirt's test driver: a node's events, its row in the database, the poke."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.drivers import registry
from infrastructure.drivers.base import Endpoint, HostDriver
from infrastructure.models import VE, InventoryRevision, Node, Removal
from infrastructure.observe.source import NodeSource, Shard
from infrastructure.services import inventory
from panel.live import poke
from tests.collector.engine import Clock
from tests.waiting import eventually

URI = "test:///default"


def as_test(endpoint: Endpoint) -> HostDriver:
    return registry.driver_for(replace(endpoint, uri=URI))


@pytest.fixture
def pokes() -> Iterator[list[tuple[str, int]]]:
    heard: list[tuple[str, int]] = []
    listener = lambda topic, rev: heard.append((topic, rev))  # noqa: E731
    poke.listen(listener)
    yield heard
    poke.unlisten(listener)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock, transactional_db: None) -> Iterator[NodeSource]:
    source = NodeSource(open_driver=as_test, clock=clock)
    source.start()
    yield source
    source.stop()
    registry.drop_all()


def add_node(name: str = "primary") -> Node:
    return Node.objects.create(name=name, address=f"{name}.lab", onboarded_at=timezone.now())


def state_of(name: str = "test") -> str:
    return VE.objects.filter(name=name).values_list("state", flat=True).first() or ""


def test_an_event_reaches_the_row_and_the_pages(source: NodeSource, pokes: list[tuple[str, int]], clock: Clock) -> None:
    add_node()
    source.tick()
    eventually(lambda: state_of() == VEState.RUNNING)
    ve = VE.objects.get()
    driver = as_test(Endpoint("primary", "primary.lab"))
    for act, state in (
        (driver.suspend, VEState.PAUSED),
        (driver.resume, VEState.RUNNING),
        (driver.destroy, VEState.STOPPED),
        (driver.start, VEState.RUNNING),
    ):
        before = InventoryRevision.current()
        act(str(ve.uuid))
        eventually(lambda state=state: state_of() == state)  # type: ignore[misc]
        eventually(lambda before=before: ("inventory", before + 1) in pokes)  # type: ignore[misc]
    ve.refresh_from_db()
    assert ve.started_at is not None
    assert ve.node.state == NodeState.ONLINE
    assert source.status() == {"nodes": 1, "late": 0}


def test_a_refresh_by_a_worker_writes_the_same_rows(transactional_db: None) -> None:
    node = add_node()
    with registry.replaced("primary", as_test(Endpoint("primary", "primary.lab"))):
        inventory.refresh(node)
        rev = InventoryRevision.current()
        inventory.refresh(node)
        assert InventoryRevision.current() == rev == 1
        ve = VE.objects.get()
        VE.objects.update(name="other")
        inventory.refresh(node, ve)
        assert VE.objects.get().name == "test"
    registry.drop_all()


def test_nodes_come_and_go_within_two_seconds(source: NodeSource, clock: Clock) -> None:
    source.tick()
    node = add_node()
    waiting = Node.objects.create(name="waiting", address="waiting.lab")
    clock.now += 1.9
    source.tick()
    assert source.status()["nodes"] == 0
    clock.now += 0.1
    source.tick()
    assert source.status()["nodes"] == 1
    Node.objects.filter(pk=waiting.pk).update(onboarded_at=timezone.now())
    clock.now += 2
    source.tick()
    assert source.status()["nodes"] == 2
    eventually(lambda: VE.objects.filter(node__isnull=False).exists())
    node_id = node.pk
    node.delete()
    clock.now += 2
    source.tick()
    assert source.status()["nodes"] == 1
    assert Removal.objects.filter(kind="node", object_id=node_id).exists()


def test_a_node_set_up_anew_is_observed_anew(source: NodeSource, clock: Clock) -> None:
    node = add_node()
    source.tick()
    first = source._watches[node.pk].observer
    Node.objects.update(onboarded_at=timezone.now())
    clock.now += 2
    source.tick()
    second = source._watches[node.pk].observer
    assert second is not first
    assert first.inbox.stopped


def test_shards_share_the_nodes_without_overlap() -> None:
    shards = [Shard(index, 4) for index in range(1, 5)]
    assert all(sum(shard.holds(node_id) for shard in shards) == 1 for node_id in range(1, 50))
    assert Shard().holds(7)


def test_stopping_ends_every_thread(source: NodeSource) -> None:
    add_node()
    source.tick()
    eventually(lambda: state_of() == VEState.RUNNING)
    source.stop()
    ours = {"node-primary", "inventory-writer", "series-recorder"}
    eventually(lambda: not ours & {thread.name for thread in threading.enumerate()})  # stop() waits for 5 s only
