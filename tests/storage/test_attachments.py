"""Datastores on nodes: the reconcile makes each node have what it should, and forgets what it should not."""

import base64
import threading
from collections.abc import Iterator

import pytest

from infrastructure.choices import NodeState
from infrastructure.drivers.base import Conflict, DiskFacts, RbdPool, Unreachable
from infrastructure.models import Node
from infrastructure.services import nodes as node_services
from panel.accounts.models import User
from panel.trust.encryption import encrypt, ensure_key
from storage.choices import AttachmentState, DatastoreState
from storage.models import Attachment, Cluster, Datastore, StorageRevision
from storage.observe.attaching import AttachSource
from storage.services import attachments
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.infrastructure.fake_nodes import lines_of, run
from tests.waiting import eventually

KEY = b"the key of mooring-vm"


@pytest.fixture
def nodes(cluster: Cluster, nodes: Nodes) -> Nodes:
    ensure_key()
    Cluster.objects.update(node_key=encrypt(base64.b64encode(KEY).decode()))
    return nodes


def make_datastore(cluster: Cluster, name: str = "fast", **columns: object) -> Datastore:
    values = {"tier": 2, "mode": "r2", "domain": "host", "state": DatastoreState.READY, "pool": f"vm.t2.r2.host.{name}"}
    return Datastore.objects.create(cluster=cluster, name=name, **values | columns)


def states() -> dict[str, str]:
    return {f"{row.name} {row.node}": row.state for row in Attachment.objects.select_related("node")}


def test_a_ready_datastore_comes_to_a_node_with_its_key(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    outcome = attachments.reconcile(nodes.rows["primary"])
    assert (outcome.attached, outcome.failed) == (("mooring-fast",), ())
    datastore.refresh_from_db()
    assert nodes.primary.pools["mooring-fast"] == attachments.pool_of(datastore)
    assert nodes.primary.keys == {attachments.secret_of(datastore.cluster): KEY}
    assert states() == {"mooring-fast primary": AttachmentState.ATTACHED}


def test_all_nodes_know_the_key_under_one_name(cluster: Cluster, nodes: Nodes) -> None:
    make_datastore(cluster)
    for node in nodes.rows.values():
        attachments.reconcile(node)
    assert nodes.primary.secrets() == nodes.secondnode1.secrets() != frozenset()


def test_a_node_gets_the_key_once_for_all_its_datastores(cluster: Cluster, nodes: Nodes) -> None:
    for name in ("fast", "slow"):
        make_datastore(cluster, name)
    attachments.reconcile(nodes.rows["primary"])
    assert set(nodes.primary.pools) == {"mooring-fast", "mooring-slow"}
    assert nodes.primary.calls.count("keep_secret") == 1


def test_a_second_look_changes_nothing_and_is_no_news(cluster: Cluster, nodes: Nodes) -> None:
    make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    rev = StorageRevision.current()
    attachments.reconcile(nodes.rows["primary"])
    assert StorageRevision.current() == rev


@pytest.mark.parametrize("state", [DatastoreState.CREATING, DatastoreState.REMOVING, DatastoreState.FAILED])
def test_what_is_not_ready_is_not_attached(cluster: Cluster, nodes: Nodes, state: str) -> None:
    make_datastore(cluster, state=state)
    attachments.reconcile(nodes.rows["primary"])
    assert nodes.primary.pools == {}


def test_a_released_datastore_is_forgotten_by_the_node(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    assert attachments.release(datastore) == [nodes.rows["primary"]]
    datastore.delete()
    attachments.reconcile(nodes.rows["primary"])
    assert nodes.primary.pools == {}
    assert not Attachment.objects.exists()


def test_a_node_that_was_away_forgets_a_removed_datastore_later(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    attachments.release(datastore)
    datastore.delete()
    nodes.primary.fail("drop_pool", Unreachable("primary does not answer"))
    assert attachments.reconcile(nodes.rows["primary"]).failed == (("mooring-fast", "primary does not answer"),)
    assert states() == {"mooring-fast primary": AttachmentState.LEAVING}
    attachments.reconcile(nodes.rows["primary"])
    assert (nodes.primary.pools, states()) == ({}, {})


def test_a_datastore_released_while_it_is_being_attached_does_not_stay(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.want(datastore, [nodes.rows["primary"]])

    def release() -> None:
        attachments.release(datastore)

    nodes.primary.fail("keep_pool", release)
    attachments.reconcile(nodes.rows["primary"])
    assert nodes.primary.pools == {}


def test_a_release_is_not_written_over_by_what_failed_meanwhile(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.want(datastore, [nodes.rows["primary"]])

    def release() -> None:
        attachments.release(datastore)
        raise Conflict("the node has another pool of that name")

    nodes.primary.fail("keep_pool", release)
    attachments.reconcile(nodes.rows["primary"])
    assert states() == {"mooring-fast primary": AttachmentState.LEAVING}, "the collector looks for these"


def test_a_datastore_that_is_wanted_again_while_it_goes_comes_back(cluster: Cluster, nodes: Nodes) -> None:
    datastore = Datastore.objects.select_related("cluster").get(pk=make_datastore(cluster).pk)
    attachments.reconcile(nodes.rows["primary"])
    attachments.release(datastore)
    nodes.primary.fail("drop_pool", lambda: attachments.keep(datastore))
    attachments.reconcile(nodes.rows["primary"])
    row = Attachment.objects.get(node=nodes.rows["primary"])
    assert (row.wanted, row.checked_at) == (True, None), "the collector looks for these"
    attachments.reconcile(nodes.rows["primary"])
    assert "mooring-fast" in nodes.primary.pools


def test_a_silent_node_is_waited_for_and_asked_once(cluster: Cluster, nodes: Nodes) -> None:
    for name in ("fast", "slow"):
        make_datastore(cluster, name)
    nodes.primary.fail("keep_secret", Unreachable("primary does not answer"), times=2)
    outcome = attachments.reconcile(nodes.rows["primary"])
    assert [name for name, _reason in outcome.failed] == ["mooring-fast", "mooring-slow"]
    assert nodes.primary.calls.count("keep_secret") == 1
    assert set(states().values()) == {AttachmentState.WAITING}


def test_one_that_fails_does_not_keep_the_others_away(cluster: Cluster, nodes: Nodes) -> None:
    for name in ("fast", "slow"):
        make_datastore(cluster, name)
    other = RbdPool("mooring-fast", "0" * 32, "x", (), "", "")
    nodes.primary.pools["mooring-fast"] = other
    attachments.reconcile(nodes.rows["primary"])
    failed = Attachment.objects.get(name="mooring-fast")
    assert failed.state == AttachmentState.FAILED
    assert "another storage pool" in failed.reason
    assert nodes.primary.pools["mooring-fast"] is other
    assert "mooring-slow" in nodes.primary.pools


def test_a_key_that_cannot_be_decrypted_is_said_of_the_datastore(cluster: Cluster, nodes: Nodes) -> None:
    make_datastore(cluster)
    Cluster.objects.update(node_key="of another panel")
    attachments.reconcile(nodes.rows["primary"])
    row = Attachment.objects.get(node=nodes.rows["primary"])
    assert row.state == AttachmentState.FAILED
    assert row.reason.startswith("The key of storage1 for nodes cannot be decrypted. Connect the cluster again")


def test_a_pool_of_others_that_took_the_name_is_left_and_forgotten(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    other = nodes.primary.pools["mooring-fast"] = RbdPool("mooring-fast", "0" * 32, "x", (), "", "")
    attachments.release(datastore)
    datastore.delete()
    assert attachments.reconcile(nodes.rows["primary"]).failed == ()
    assert (nodes.primary.pools, states()) == ({"mooring-fast": other}, {})


def test_the_key_is_in_no_command(cluster: Cluster, nodes: Nodes) -> None:
    datastore = Datastore.objects.select_related("cluster").get(pk=make_datastore(cluster).pk)
    words = " ".join(word for argv in attachments.commands(datastore, nodes.rows["primary"]) for word in argv)
    assert KEY.decode() not in words
    assert base64.b64encode(KEY).decode() not in words


def test_a_node_that_leaves_forgets_datastores_and_key(cluster: Cluster, nodes: Nodes) -> None:
    make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    told = attachments.let_go(nodes.rows["primary"], nodes.primary)
    assert told == ["mooring-fast was detached", "The key of storage1 was taken off"]
    assert (nodes.primary.pools, nodes.primary.keys) == ({}, {})
    assert nodes.rows["primary"] not in [row.node for row in Attachment.objects.filter(wanted=True)]
    assert attachments.let_go(nodes.rows["secondnode1"], nodes.secondnode1) == []


def test_removing_a_node_tells_what_was_taken_off(
    cluster: Cluster, nodes: Nodes, administrator: User, sent: list[tuple[int, str]]
) -> None:
    make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    task = run(node_services.remove(user=administrator, node=nodes.rows["primary"]))
    assert task.state in ("completed", "warning"), task.reason
    assert "mooring-fast was detached" in lines_of(task)
    assert (nodes.primary.pools, nodes.primary.keys) == ({}, {})


def test_the_key_stays_for_a_ve_that_needs_it(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    secret = attachments.secret_of(datastore.cluster)
    disk = DiskFacts("vda", "fast/vmtest", "network", "raw", protocol="rbd", secret=secret)
    nodes.show(nodes.primary, disks=(disk,))
    told = attachments.let_go(nodes.rows["primary"], nodes.primary)
    assert "for disks of vmtest" in told[-1]
    assert secret in told[-1]
    assert nodes.primary.keys == {secret: KEY}


def test_with_the_last_datastore_for_vms_the_key_goes(cluster: Cluster, nodes: Nodes) -> None:
    both = [make_datastore(cluster, name) for name in ("fast", "slow")]
    attachments.reconcile(nodes.rows["primary"])
    for datastore, left in zip(both, (1, 0), strict=True):
        attachments.release(datastore)
        datastore.delete()
        assert attachments.reconcile(nodes.rows["primary"]).failed == ()
        assert (len(nodes.primary.pools), len(nodes.primary.keys)) == (left, left)


def test_the_key_of_a_node_that_fell_silent_goes_later(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    attachments.release(datastore)
    datastore.delete()
    nodes.primary.fail("drop_secret", Unreachable("primary does not answer"))
    attachments.reconcile(nodes.rows["primary"])
    assert (nodes.primary.pools, len(nodes.primary.keys)) == ({}, 1)
    assert states() == {"mooring-fast primary": AttachmentState.LEAVING}, "the collector looks for these"
    attachments.reconcile(nodes.rows["primary"])
    assert (nodes.primary.keys, states()) == ({}, {})


def test_without_datastores_the_key_stays_for_a_ve_that_needs_it(cluster: Cluster, nodes: Nodes) -> None:
    datastore = make_datastore(cluster)
    attachments.reconcile(nodes.rows["primary"])
    secret = attachments.secret_of(Cluster.objects.get())
    nodes.show(nodes.primary, disks=(DiskFacts("vda", "x/vmtest", "network", "raw", protocol="rbd", secret=secret),))
    attachments.release(datastore)
    datastore.delete()
    attachments.reconcile(nodes.rows["primary"])
    assert (nodes.primary.pools, nodes.primary.keys) == ({}, {secret: KEY})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Reconciles:
    """Counts, and fails as told."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing = False
        self.lock = threading.Lock()

    def __call__(self, node: Node) -> attachments.Outcome:
        with self.lock:
            self.seen.append(node.name)
        return attachments.Outcome(node, failed=(("fast", "no"),) if self.failing else ())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def done() -> Reconciles:
    return Reconciles()


@pytest.fixture
def source(clock: Clock, done: Reconciles) -> Iterator[AttachSource]:
    made = AttachSource(clock=clock, reconcile=done)
    yield made
    made.stop()


def ticks(source: AttachSource, clock: Clock, seconds: float) -> None:
    end = clock.now + seconds
    while clock.now < end:
        source.tick()
        eventually(lambda: not any(watch.busy for watch in source._watches.values()))
        clock.now += 1


@pytest.fixture
def settled(transactional_db: None, cluster: Cluster, nodes: Nodes) -> None:
    make_datastore(cluster)
    for node in nodes.rows.values():
        attachments.reconcile(node)


@pytest.mark.usefixtures("settled")
def test_each_node_is_reconciled_now_and_then(source: AttachSource, clock: Clock, done: Reconciles) -> None:
    ticks(source, clock, 290)
    assert sorted(done.seen) == ["primary", "secondnode1"]
    ticks(source, clock, 20)
    assert sorted(done.seen) == ["primary", "primary", "secondnode1", "secondnode1"]


@pytest.mark.usefixtures("settled")
def test_a_node_that_answers_again_is_reconciled_at_once(source: AttachSource, clock: Clock, done: Reconciles) -> None:
    ticks(source, clock, 10)
    Node.objects.filter(name="primary").update(state=NodeState.UNREACHABLE)
    ticks(source, clock, 10)
    Node.objects.filter(name="primary").update(state=NodeState.ONLINE)
    ticks(source, clock, 10)
    assert sorted(done.seen) == ["primary", "primary", "secondnode1"]


@pytest.mark.usefixtures("settled")
def test_a_released_datastore_is_seen_to_soon(source: AttachSource, clock: Clock, done: Reconciles) -> None:
    ticks(source, clock, 10)
    Attachment.objects.filter(node__name="primary").update(wanted=False, state=AttachmentState.LEAVING)
    ticks(source, clock, 4)
    assert done.seen.count("primary") == 2


@pytest.mark.usefixtures("settled")
def test_what_fails_is_tried_again_after_growing_pauses(source: AttachSource, clock: Clock, done: Reconciles) -> None:
    done.failing = True
    Attachment.objects.update(checked_at=None)
    ticks(source, clock, 100)
    assert 3 <= done.seen.count("primary") <= 6


def test_without_datastores_no_node_is_asked(
    cluster: Cluster, nodes: Nodes, source: AttachSource, clock: Clock, done: Reconciles
) -> None:
    ticks(source, clock, 20)
    assert done.seen == []
