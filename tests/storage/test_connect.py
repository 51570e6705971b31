"""Connecting the storage cluster through a node, connecting it again, and letting it go."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from infrastructure.drivers.base import Unreachable
from infrastructure.drivers.fake import FakeNode
from infrastructure.models import Node
from infrastructure.services.endpoints import driver as node_driver
from infrastructure.services.errors import InvalidInput, NotPossible
from panel import series
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.trust import encryption
from panel.trust.encryption import decrypt
from storage.choices import ClusterState
from storage.drivers import registry
from storage.drivers.fake import AlwaysFailing, FakeCluster
from storage.drivers.fake import cluster as usual_cluster
from storage.models import Cluster, Datastore, Disk
from storage.services import clusters
from storage.services.access import access_of
from storage.services.attachments import secret_of
from storage.services.ceph_admin import (
    CONF,
    FILES_CAPABILITIES,
    ISCSI_CAPABILITIES,
    KEYRINGS,
    NODE_CAPABILITIES,
    PANEL_CAPABILITIES,
)
from storage.status import cluster_status
from tasks.errors import TaskConflict
from tasks.models import Task
from tests.infrastructure.fake_nodes import commands_of, lines_of, run, steps_of
from tests.storage.ceph_host import FILES_KEY, ISCSI_KEY, NODE_KEY, OTHER_KEY, PANEL_KEY, CephHost

STEPS = [
    "Looking for Ceph on primary",
    "Giving Mooring users of its own",
    "Reaching storage1 from the panel",
    "Recording storage1",
]


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Any, settings: Any) -> None:
    settings.KEYS_DIR = tmp_path
    settings.RRD_DIR = tmp_path / "rrd"
    encryption.ensure_key()


@pytest.fixture
def engine(ceph_host: CephHost) -> Iterator[FakeCluster]:
    """The cluster as the panel reaches it."""
    made = usual_cluster()
    made.fsid = ceph_host.fsid
    with registry.replaced("storage1", made):
        yield made


def connect(host: CephHost) -> Task:
    return run(clusters.connect(user=None, name="storage1", through=host.row)[1])


def storage1() -> Cluster:
    return Cluster.objects.get(name="storage1")


def fake_node(host: CephHost) -> FakeNode:
    node = node_driver(host.row)
    assert isinstance(node, FakeNode)
    return node


def test_its_steps_and_what_it_leaves(ceph_host: CephHost, engine: FakeCluster) -> None:
    task = connect(ceph_host)

    assert (task.state, task.reason) == ("completed", "")
    assert steps_of(task) == [(title, "completed") for title in STEPS]
    cluster = storage1()
    assert (str(cluster.fsid), cluster.monitors) == (ceph_host.fsid, ceph_host.monitors)
    keys = [decrypt(key) for key in (cluster.key, cluster.node_key, cluster.files_key, cluster.iscsi_key)]
    assert keys == [PANEL_KEY, NODE_KEY, FILES_KEY, ISCSI_KEY]
    assert cluster.state == ClusterState.ONLINE and cluster.connected_at and cluster.through == ceph_host.row
    assert cluster.disks.count() == 9
    assert ceph_host.users == {
        "client.mooring": (PANEL_KEY, dict(PANEL_CAPABILITIES)),
        "client.mooring-vm": (NODE_KEY, dict(NODE_CAPABILITIES)),
        "client.mooring-files": (FILES_KEY, dict(FILES_CAPABILITIES)),
        "client.mooring-iscsi": (ISCSI_KEY, dict(ISCSI_CAPABILITIES)),
    }


def test_no_key_is_in_the_log_the_parameters_or_a_command(ceph_host: CephHost, engine: FakeCluster) -> None:
    engine.version = f"16.2.15 {PANEL_KEY}"  # whatever an engine says
    task = connect(ceph_host)

    texts = [*lines_of(task), *ceph_host.ran, str(task.params), storage1().key, storage1().node_key]
    texts += [storage1().files_key, storage1().iscsi_key]
    assert task.state == "completed"
    assert not [text for text in texts if any(key in text for key in (PANEL_KEY, NODE_KEY, FILES_KEY, ISCSI_KEY))]
    assert any("••••" in text for text in lines_of(task))


def test_the_equivalent_commands_are_shown(ceph_host: CephHost, engine: FakeCluster) -> None:
    shown = commands_of(connect(ceph_host))
    assert any(line.startswith("ceph auth get-or-create client.mooring mon 'allow r") for line in shown)
    assert "ceph mon dump -f json" in shown


def test_a_second_time_makes_nothing_anew(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    ceph_host.ran.clear()
    task = run(clusters.reconnect(user=None, cluster=storage1()))

    assert task.state == "completed"
    assert not [command for command in ceph_host.ran if "get-or-create" in command or " caps " in command]
    assert sum(line.startswith("already done") for line in lines_of(task)) == 4


def test_connecting_again_takes_moved_monitors_and_a_new_key(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    ceph_host.monitors = ["10.9.9.9:3300"]
    ceph_host.users["client.mooring"] = (OTHER_KEY, {"mon": "allow r"})
    run(clusters.reconnect(user=None, cluster=storage1()))

    assert storage1().monitors == ["10.9.9.9:3300"]
    assert decrypt(storage1().key) == OTHER_KEY
    assert ceph_host.users["client.mooring"] == (OTHER_KEY, dict(PANEL_CAPABILITIES))


def test_connecting_again_ends_the_sessions_that_other_processes_have(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    before = access_of(storage1())
    run(clusters.reconnect(user=None, cluster=storage1()))

    assert access_of(storage1()).succeeds(before), "with the same key and addresses the capabilities may be others"


@pytest.mark.parametrize(
    ("change", "words", "advice"),
    [
        ({"files": set()}, f"There is no Ceph on primary: {CONF} is not there.", "metadata service"),
        ({"files": {CONF}}, f"{KEYRINGS[0]} is not there.", "Copy it there"),
        ({"has_command": False}, "There is no ceph command on primary.", "ceph-common"),
        ({"answers": False}, "RADOS timed out", "majority of the monitors"),
    ],
)
def test_a_node_that_cannot_tell_is_refused_with_what_to_do(
    ceph_host: CephHost,
    engine: FakeCluster,
    change: dict[str, Any],
    words: str,
    advice: str,
) -> None:
    for name, value in change.items():
        setattr(ceph_host, name, value)
    task = connect(ceph_host)

    assert task.state == "failed"
    assert words in task.reason and advice in task.advice
    assert cluster_status(storage1()).word == "Not connected"
    assert words in storage1().state_reason


def test_users_made_by_a_task_that_fails_are_taken_away_again(ceph_host: CephHost) -> None:
    with registry.replaced("storage1", AlwaysFailing()):
        task = connect(ceph_host)

    assert task.state == "failed"
    assert ceph_host.users == {}
    assert (storage1().key, storage1().connected_at) == ("", None)


def test_users_that_were_there_before_stay_when_connecting_fails(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    before = dict(ceph_host.users)
    with registry.replaced("storage1", AlwaysFailing(Unreachable("No monitor can be reached", component="ceph"))):
        task = run(clusters.reconnect(user=None, cluster=storage1()))

    assert task.state == "failed"
    assert ceph_host.users == before
    assert storage1().state == ClusterState.ONLINE, "the collector tells whether it answers, not a failed task"


def test_a_failed_connection_can_be_tried_under_another_name(ceph_host: CephHost, engine: FakeCluster) -> None:
    ceph_host.answers = False
    run(clusters.connect(user=None, name="storag1", through=ceph_host.row)[1])
    ceph_host.answers = True

    assert connect(ceph_host).state == "completed"
    assert [cluster.name for cluster in Cluster.objects.all()] == ["storage1"]


def test_a_node_of_another_cluster_is_refused(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    ceph_host.fsid = "11111111-2222-3333-4444-555555555555"
    task = run(clusters.reconnect(user=None, cluster=storage1()))

    assert task.state == "failed"
    assert "belongs to another cluster" in task.reason


def test_a_second_cluster_is_refused(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    with pytest.raises(InvalidInput, match="connected to the cluster storage1 already"):
        clusters.connect(user=None, name="storage2", through=ceph_host.row)


def test_another_name_while_the_first_request_runs_is_refused(ceph_host: CephHost) -> None:
    other = Node.objects.create(name="other", address="other.lab", onboarded_at=ceph_host.row.onboarded_at)
    clusters.connect(user=None, name="storage1", through=ceph_host.row)
    with pytest.raises(TaskConflict):
        clusters.connect(user=None, name="storage2", through=other)
    assert [cluster.name for cluster in Cluster.objects.all()] == ["storage1"]


@pytest.mark.parametrize("name", ["", "Storage", "a b", "-h", "a@b", "../x", "x" * 64, "stor\nage"])
def test_names_that_are_none_are_refused(ceph_host: CephHost, name: str) -> None:
    with pytest.raises(InvalidInput):
        clusters.connect(user=None, name=name, through=ceph_host.row)


def test_a_node_that_is_not_set_up_is_refused(ceph_host: CephHost) -> None:
    fresh = Node.objects.create(name="fresh", address="fresh.lab")
    with pytest.raises(NotPossible, match="not set up"):
        clusters.connect(user=None, name="storage1", through=fresh)


def test_it_takes_the_right_to_manage_the_storage_and_a_refusal_is_audited(
    ceph_host: CephHost,
    operator: User,
    administrator: User,
) -> None:
    with pytest.raises(PermissionDenied):
        clusters.connect(user=operator, name="storage1", through=ceph_host.row)
    assert AuditRecord.objects.filter(action="storage.connect", result="refused").count() == 1
    _, task = clusters.connect(user=administrator, name="storage1", through=ceph_host.row)
    assert task.initiator == administrator
    with pytest.raises(PermissionDenied):
        clusters.disconnect(user=operator, cluster=storage1())


def test_letting_go_takes_the_users_away_and_forgets_rows_and_series(
    ceph_host: CephHost,
    engine: FakeCluster,
) -> None:
    connect(ceph_host)
    cluster = storage1()
    series.append("cluster", cluster.pk, {"used": 1.0}, 1_800_000_000)
    task = run(clusters.disconnect(user=None, cluster=cluster))

    assert task.state == "completed"
    assert ceph_host.users == {}
    assert not Cluster.objects.exists() and not Disk.objects.exists()
    assert not list((series.store.settings.RRD_DIR).rglob("*.rrd"))


def test_letting_go_of_a_cluster_whose_node_does_not_help_says_what_is_left(
    ceph_host: CephHost,
    engine: FakeCluster,
) -> None:
    connect(ceph_host)
    ceph_host.answers = False
    task = run(clusters.disconnect(user=None, cluster=storage1()))

    assert task.state == "warning"
    users = ("mooring", "mooring-vm", "mooring-files", "mooring-iscsi")
    assert "; ".join(f"ceph auth rm client.{user}" for user in users) in task.reason
    assert not Cluster.objects.exists()


def test_letting_go_takes_the_key_off_the_nodes(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    node, secret = fake_node(ceph_host), secret_of(storage1())
    node.keep_secret(secret, "client.mooring-vm", b"key")
    node.keep_secret("another", "client.foreign", b"key")
    task = run(clusters.disconnect(user=None, cluster=storage1()))

    assert task.state == "completed"
    assert set(node.keys) == {"another"}
    assert "primary: The key of storage1 was taken off" in lines_of(task)


def test_a_node_whose_key_cannot_be_taken_off_is_told_with_the_command(
    ceph_host: CephHost, engine: FakeCluster
) -> None:
    connect(ceph_host)
    node, secret = fake_node(ceph_host), secret_of(storage1())
    node.keep_secret(secret, "client.mooring-vm", b"key")
    node.fail("secrets", Unreachable("primary does not answer"))
    task = run(clusters.disconnect(user=None, cluster=storage1()))

    assert task.state == "warning"
    assert "primary: primary does not answer. If it has the key" in task.reason
    assert f"virsh secret-undefine {secret}" in task.reason
    assert not Cluster.objects.exists()


def test_a_cluster_with_datastores_is_not_let_go(ceph_host: CephHost, engine: FakeCluster) -> None:
    connect(ceph_host)
    Datastore.objects.create(cluster=storage1(), name="fast", tier=1, mode="r2", domain="host")
    with pytest.raises(NotPossible, match="fast"):
        clusters.disconnect(user=None, cluster=storage1())


def test_the_command_connects_and_leaves_a_connected_cluster_alone(
    ceph_host: CephHost,
    engine: FakeCluster,
    administrator: User,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = {"name": "storage1", "through": "primary", "user": "administrator"}
    call_command("add_cluster", **arguments)
    run(Task.objects.get(kind="storage.connect"))
    call_command("add_cluster", **arguments)

    assert "storage1 is connected already." in capsys.readouterr().out
    assert Task.objects.filter(kind="storage.connect").count() == 1
    with pytest.raises(CommandError, match="no node named 'nowhere'"):
        call_command("add_cluster", **arguments | {"through": "nowhere"})
