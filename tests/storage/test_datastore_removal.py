"""Taking a removal back: the datastore is as before, and nodes that let go of it get it again."""

from collections.abc import Iterator

import pytest

from infrastructure.models import Node
from panel.accounts.models import User
from storage.drivers.facts import ClusterFacts
from storage.jobs import cluster_steps
from storage.models import Attachment, Datastore, Disk
from storage.services import attachments, datastores, observed, turns
from tasks import steps
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import run
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import created


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]], nodes: Nodes) -> Iterator[Driven]:
    with driven() as found:
        yield found


@pytest.fixture
def datastore(storage: Driven) -> Datastore:
    return created(storage.row)


def removal(datastore: Datastore) -> Task:
    return datastores.remove(user=User.objects.get(), datastore=datastore, confirmation=datastore.name)


def cancel_at_the_first_node(task: Task, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Somebody cancels while the first node lets go of it; the names of the nodes that were asked."""
    monkeypatch.setattr(steps, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(turns, "AT_ONCE", 1)
    real, asked = attachments.reconcile, []

    def reconcile(node: Node) -> attachments.Outcome:
        asked.append(node.name)
        outcome = real(node)
        cancel(task, User.objects.get())
        return outcome

    monkeypatch.setattr(attachments, "reconcile", reconcile)
    return asked


def test_it_can_be_cancelled_between_two_nodes(datastore: Datastore, monkeypatch: pytest.MonkeyPatch) -> None:
    task = removal(datastore)
    asked = cancel_at_the_first_node(task, monkeypatch)
    assert run(task).state == "cancelled"
    assert asked == ["primary"]


def test_a_node_that_let_go_of_it_gets_it_back_at_the_next_reconcile(
    datastore: Datastore, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = removal(datastore)
    with monkeypatch.context() as patched:
        cancel_at_the_first_node(task, patched)
        run(task)
    datastore.refresh_from_db()
    assert datastore.state == "ready"
    wanted = Attachment.objects.values_list("node__name", "wanted", "checked_at")
    assert sorted(wanted) == [("primary", True, None), ("secondnode1", True, None)], "the collector looks for these"

    for node in nodes.rows.values():
        attachments.reconcile(node)
    assert "mooring-fast" in nodes.primary.pools and "mooring-fast" in nodes.secondnode1.pools


def test_what_a_job_saw_does_not_replace_what_was_asked_later(storage: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    real = storage.fake.look

    def look() -> ClusterFacts:
        seen = real()
        storage.fake.stop(3)
        observed.record(storage.row, real())  # the collector, which asked later and was quicker
        return seen

    monkeypatch.setattr(storage.fake, "look", look)
    assert cluster_steps.look(storage.row, storage.fake).disks[3].up
    assert not Disk.objects.get(number=3).up
