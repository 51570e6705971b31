"""What the tasks of datastores do on nodes and tell of them: commands, those that are away, those that refuse."""

from collections.abc import Iterator

import pytest

from infrastructure.choices import NodeState
from infrastructure.drivers.base import Conflict
from infrastructure.models import Node
from panel.accounts.models import User
from storage.models import Datastore
from storage.services import attachments
from tasks.errors import NotPossible
from tasks.services import cancel
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import commands_of, lines_of, run
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import create, created, remove

POOL, AWAY = "mooring-fast", "secondnode1 does not answer; it is {} when it does"


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]], nodes: Nodes) -> Iterator[Driven]:
    with driven() as found:
        yield found


def about_pools(commands: list[str]) -> list[str]:
    return [line for line in commands if POOL in line]


def test_every_node_gets_it_and_lets_go_of_it(storage: Driven, nodes: Nodes) -> None:
    datastore, task = create(storage.row)
    assert run(task).state == "completed"
    assert POOL in nodes.primary.pools and POOL in nodes.secondnode1.pools
    shown = about_pools(commands_of(task))
    assert len(shown) == 4 and all("pool-define-as" in line or "pool-start" in line for line in shown)

    task = remove(Datastore.objects.get(pk=datastore.pk))
    assert task.state == "completed"
    assert POOL not in nodes.primary.pools and POOL not in nodes.secondnode1.pools
    assert about_pools(commands_of(task)) == []


def test_a_node_that_is_away_is_told_and_asked_nothing(storage: Driven, nodes: Nodes) -> None:
    Node.objects.filter(name="secondnode1").update(state=NodeState.UNREACHABLE)
    datastore, task = create(storage.row)
    assert run(task).state == "completed"
    assert AWAY.format("attached") in lines_of(task)
    assert POOL in nodes.primary.pools and "keep_pool" not in nodes.secondnode1.calls

    Node.objects.update(state=NodeState.ONLINE)
    attachments.reconcile(nodes.rows["secondnode1"])
    Node.objects.filter(name="secondnode1").update(state=NodeState.UNREACHABLE)
    task = remove(Datastore.objects.get(pk=datastore.pk))
    assert AWAY.format("detached") in lines_of(task)
    assert POOL in nodes.secondnode1.pools


def test_once_a_node_may_use_it_its_creation_is_not_cancelled(
    storage: Driven, nodes: Nodes, administrator: User
) -> None:
    datastore, task = create(storage.row)
    refusals = []

    def cancelled() -> None:
        with pytest.raises(NotPossible) as refusal:
            cancel(task, administrator)
        refusals.append(str(refusal.value))

    nodes.primary.fail("keep_pool", cancelled)
    assert run(task).state == "completed"
    assert "past the point where it can be cancelled" in refusals[0]
    assert Datastore.objects.get(pk=datastore.pk).state == "ready"


def test_a_node_that_refuses_makes_the_task_a_warning_with_the_reason(storage: Driven, nodes: Nodes) -> None:
    nodes.primary.fail("keep_pool", Conflict("It has another pool of that name", advice="Rename that one."))
    _, task = create(storage.row)
    assert (run(task).state, task.reason) == (
        "warning",
        "primary: It has another pool of that name. Rename that one.",
    )
    assert POOL in nodes.secondnode1.pools


def test_what_another_datastore_fails_at_is_not_told_of_this_one(storage: Driven, nodes: Nodes) -> None:
    created(storage.row, "other")
    nodes.primary.fail("keep_pool", Conflict("It has another pool of that name"))  # other's: the rows go by name
    del nodes.primary.pools["mooring-other"]
    _, task = create(storage.row, "zfast")
    assert (run(task).state, task.reason) == ("completed", "")
    assert "mooring-zfast" in nodes.primary.pools and "mooring-other" not in nodes.primary.pools
