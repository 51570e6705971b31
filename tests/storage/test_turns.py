"""Nodes are reconciled side by side, each by one at a time: a node that hangs keeps no other waiting."""

import os
import threading
from collections.abc import Iterator

import pytest

from infrastructure.choices import NodeState
from infrastructure.drivers.base import Conflict
from infrastructure.models import Node
from panel.accounts.models import User
from storage.models import Cluster
from storage.observe.attaching import AttachSource
from storage.services import attachments, turns
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import run
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import create
from tests.storage.test_attachments import Clock, make_datastore
from tests.waiting import eventually


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]], nodes: Nodes) -> Iterator[Driven]:
    with driven() as found:
        yield found


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs goes on when it opens, at the latest when the test is over."""
    made = threading.Event()
    yield made
    made.set()
    for thread in threading.enumerate():
        if thread.name.startswith(("datastores-", "attach-")):
            thread.join(20)


def test_a_node_that_hangs_keeps_no_other_waiting(storage: Driven, nodes: Nodes, gate: threading.Event) -> None:
    def hang() -> None:
        eventually(lambda: "mooring-fast" in nodes.secondnode1.pools)

    nodes.primary.fail("keep_pool", hang)
    _, task = create(storage.row)
    assert (run(task).state, task.reason) == ("completed", "")
    assert "mooring-fast" in nodes.primary.pools


def test_one_that_takes_too_long_is_told_and_goes_on(
    storage: Driven, nodes: Nodes, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.primary.fail("keep_pool", lambda: gate.wait(60))
    monkeypatch.setattr(turns, "NODE_SECONDS", 1.0)
    _, task = create(storage.row)
    assert run(task).state == "warning"
    assert task.reason.startswith("primary: it takes longer than") and "secondnode1" not in task.reason
    gate.set()
    eventually(lambda: "mooring-fast" in nodes.primary.pools)


def test_a_node_is_reconciled_by_one_at_a_time(storage: Driven, nodes: Nodes, gate: threading.Event) -> None:
    make_datastore(storage.row)
    node, inside = nodes.rows["primary"], threading.Event()

    def hang() -> None:
        inside.set()
        gate.wait(60)

    nodes.primary.fail("keep_secret", hang)
    first, second = (turns.side_by_side([node], attachments.reconcile, attachments.Outcome) for _ in range(2))
    done: list[attachments.Outcome] = []
    one = threading.Thread(target=lambda: done.extend(first), name="datastores-one")
    one.start()
    assert inside.wait(20)
    two = threading.Thread(target=lambda: done.extend(second), name="datastores-two")
    two.start()
    two.join(1)
    assert two.is_alive() and nodes.primary.calls.count("keep_secret") == 1
    gate.set()
    one.join(20)
    two.join(20)
    assert nodes.primary.calls.count("keep_secret") == 2
    assert {name for outcome in done for name in outcome.attached} == {"mooring-fast"}


def test_who_waits_too_long_for_its_turn_says_so(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    node = nodes.rows["primary"]
    with turns.turn(node):
        assert attachments.reconcile(node).failed[0][1].startswith("Another task or the collector")
        with turns.turn(nodes.rows["secondnode1"]):
            pass
    assert attachments.reconcile(node).failed == ()


def test_the_turn_of_a_process_that_died_is_over(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    node = nodes.rows["primary"]
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with turns.turn(node):
            os.write(tell, b".")
            threading.Event().wait(60)
        os._exit(0)
    os.read(ready, 1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    with pytest.raises(Conflict), turns.turn(node):
        pass
    os.kill(child, 9)
    os.waitpid(child, 0)
    with turns.turn(node):
        pass


def test_a_flapping_node_is_not_reconciled_twice_at_once(cluster: Cluster, nodes: Nodes, gate: threading.Event) -> None:
    make_datastore(cluster)
    clock, begun = Clock(), list[str]()

    def reconcile(node: Node) -> attachments.Outcome:
        begun.append(node.name)
        gate.wait(60)
        return attachments.Outcome(node)

    Node.objects.exclude(name="primary").update(state=NodeState.UNREACHABLE)
    source = AttachSource(clock=clock, reconcile=reconcile)
    for state in (NodeState.ONLINE, NodeState.UNREACHABLE, NodeState.ONLINE):
        Node.objects.filter(name="primary").update(state=state)
        source.tick()
        clock.now += 10
    assert begun == ["primary"]
    gate.set()
    eventually(lambda: not any(watch.busy for watch in source._watches.values()))
    source.tick()
    eventually(lambda: begun == ["primary", "primary"])
    source.stop()


def test_few_nodes_are_reconciled_at_once_and_those_that_hang_are_passed(
    cluster: Cluster, nodes: Nodes, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_datastore(cluster)
    for number in range(turns.AT_ONCE):
        Node.objects.create(
            name=f"more{number}",
            address=f"more{number}.lab",
            state=NodeState.ONLINE,
            onboarded_at=nodes.rows["primary"].onboarded_at,
        )
    clock, begun = Clock(), list[str]()

    def reconcile(node: Node) -> attachments.Outcome:
        begun.append(node.name)
        gate.wait(60)
        return attachments.Outcome(node)

    source = AttachSource(clock=clock, reconcile=reconcile)
    for _ in range(3):
        source.tick()
        clock.now += 10
    eventually(lambda: len(begun) == turns.AT_ONCE)
    clock.now += turns.NODE_SECONDS
    source.tick()
    eventually(lambda: len(set(begun)) == len(begun) == turns.AT_ONCE + 2)
    gate.set()
    source.stop()
