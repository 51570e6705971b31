"""Datastores for files on nodes: mounted by the reconcile, mounted again when dead, let go of when nobody uses them."""

import base64

import pytest

from panel.trust.encryption import encrypt, ensure_key
from storage.choices import AttachmentState, DatastoreState, Use
from storage.models import Attachment, Cluster, Datastore, StorageRevision
from storage.services import attachments, mounts
from tests.infrastructure.fake_nodes import Cluster as Nodes
from tests.storage.mounting_host import MountingHost

KEY = base64.b64encode(b"the key of mooring-files").decode()
ISO = "/srv/mooring/iso"


@pytest.fixture
def nodes(cluster: Cluster, nodes: Nodes) -> Nodes:
    ensure_key()
    Cluster.objects.update(node_key=encrypt(base64.b64encode(b"x").decode()), files_key=encrypt(KEY))
    return nodes


@pytest.fixture
def host(nodes: Nodes) -> MountingHost:
    return MountingHost(nodes.primary)


def make_datastore(name: str = "iso", use: str = Use.FILES) -> Datastore:
    values = {"tier": 2, "mode": "r2", "domain": "host", "state": DatastoreState.READY, "pool": f"{use}.{name}"}
    return Datastore.objects.create(
        cluster=Cluster.objects.get(), name=name, use=use, data_pool=values["pool"], **values
    )


def reconcile(nodes: Nodes) -> attachments.Outcome:
    return attachments.reconcile(nodes.rows["primary"])


def row() -> Attachment:
    return Attachment.objects.get(name="mooring-iso")


def let_go(datastore: Datastore) -> None:
    attachments.release(datastore)
    datastore.delete()


def test_it_is_mounted_with_a_key_that_is_in_no_command(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    assert reconcile(nodes).attached == ("mooring-iso",)
    assert host.mounts == {ISO: "fuse.ceph-fuse"}
    shown = [" ".join(argv) for argv in attachments.commands(datastore, nodes.rows["primary"])]
    assert shown == [
        "ceph-fuse -n client.mooring-files -c /etc/ceph/mooring.conf --keyring /etc/ceph/mooring-files.keyring"
        " -r /volumes/mooring/iso /srv/mooring/iso"
    ]
    assert any(ran.endswith(shown[0]) for ran in host.ran)
    assert KEY.encode() in nodes.primary.files[mounts.KEYRING]
    assert not [ran for ran in host.ran if KEY in ran]
    conf = nodes.primary.files[mounts.CONF].decode()
    assert "mon_host = 10.0.0.11:3300,10.0.0.12:3300,10.0.0.13:3300\nclient_fs = mooring\n" in conf
    assert KEY not in conf


def test_the_keyring_is_readable_by_root_alone(
    nodes: Nodes, host: MountingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: dict[str, int] = {}
    real = nodes.primary.write_file

    def write_file(path: str, data: bytes, *, mode: int = 0o644) -> None:
        modes[path] = mode
        real(path, data, mode=mode)

    monkeypatch.setattr(nodes.primary, "write_file", write_file)
    make_datastore()
    reconcile(nodes)
    assert modes == {mounts.CONF: 0o644, mounts.KEYRING: 0o600}


def test_a_second_look_changes_nothing_and_is_no_news(nodes: Nodes, host: MountingHost) -> None:
    make_datastore()
    reconcile(nodes)
    rev, mounted = StorageRevision.current(), [ran for ran in host.ran if "ceph-fuse -n" in ran]
    nodes.primary.calls.clear()
    reconcile(nodes)
    assert StorageRevision.current() == rev
    assert [ran for ran in host.ran if "ceph-fuse -n" in ran] == mounted
    assert "write_file" not in nodes.primary.calls


def test_a_mount_that_comes_from_a_task_that_died_is_no_reason_for_a_second(nodes: Nodes, host: MountingHost) -> None:
    make_datastore()
    looked = nodes.primary.write_file

    def write_file(path: str, data: bytes, *, mode: int = 0o644) -> None:
        host.mounts[ISO] = "fuse.ceph-fuse"  # after the reconcile looked
        looked(path, data, mode=mode)

    nodes.primary.write_file = write_file  # type: ignore[method-assign]
    assert reconcile(nodes).attached == ("mooring-iso",)
    assert (host.mounted, host.below) == (0, [])


def test_a_node_that_was_restarted_gets_it_back(nodes: Nodes, host: MountingHost) -> None:
    make_datastore()
    reconcile(nodes)
    host.mounts.clear()
    assert reconcile(nodes).failed == ()
    assert host.mounts == {ISO: "fuse.ceph-fuse"}


def test_a_mount_whose_process_died_is_mounted_again(nodes: Nodes, host: MountingHost) -> None:
    make_datastore()
    reconcile(nodes)
    host.dead.add(ISO)
    assert reconcile(nodes).failed == ()
    assert f"umount --lazy {ISO}" in host.ran
    assert (host.mounts, host.dead) == ({ISO: "fuse.ceph-fuse"}, set())


def test_one_that_hangs_is_told_and_left_and_the_others_are_seen_to(nodes: Nodes, host: MountingHost) -> None:
    make_datastore()
    reconcile(nodes)
    host.hung.add(ISO)
    make_datastore("vms", Use.VM)
    outcome = reconcile(nodes)
    assert outcome.attached == ("mooring-vms",)
    [(name, reason)] = outcome.failed
    assert (name, ISO in host.mounts, row().state) == ("mooring-iso", True, AttachmentState.FAILED)
    assert f"{ISO} does not answer. It goes on when the cluster answers" in reason


def test_what_somebody_else_mounted_there_is_left(nodes: Nodes, host: MountingHost) -> None:
    host.mounts[ISO] = "nfs4"
    make_datastore()
    reconcile(nodes)
    assert row().state == AttachmentState.FAILED
    assert f"Something else is mounted at {ISO} (nfs4)" in row().reason
    assert host.mounts == {ISO: "nfs4"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"installed": False}, "it is not installed. Set the node up again"),
        ({"failure": b"ceph-fuse[9]: ceph mount failed with (110) Connection timed out"}, "(110) Connection timed out"),
    ],
)
def test_a_mount_that_fails_says_why_and_what_to_do(
    nodes: Nodes, host: MountingHost, change: dict[str, object], words: str
) -> None:
    for name, value in change.items():
        setattr(host, name, value)
    make_datastore()
    reconcile(nodes)
    assert (row().state, words in row().reason) == (AttachmentState.FAILED, True), row().reason


def test_a_released_one_leaves_nothing_on_the_node(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    reconcile(nodes)
    let_go(datastore)
    reconcile(nodes)
    assert (host.mounts, Attachment.objects.count()) == ({}, 0)
    assert not {mounts.CONF, mounts.KEYRING} & set(nodes.primary.files)
    assert host.folders == {"/etc/ceph"}


def test_the_key_stays_while_another_needs_it(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    make_datastore("backups")
    reconcile(nodes)
    let_go(datastore)
    reconcile(nodes)
    assert host.mounts == {"/srv/mooring/backups": "fuse.ceph-fuse"}
    assert mounts.KEYRING in nodes.primary.files


def test_one_in_use_stays_and_says_who_uses_it(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    reconcile(nodes)
    let_go(datastore)
    host.users[ISO] = {"4711": "qemu-system-x86", "4712": "tail"}
    [(_, reason)] = reconcile(nodes).failed
    assert f"{ISO} is in use by qemu-system-x86 (4711), tail (4712). Stop what uses it" in reason
    assert (row().state, ISO in host.mounts) == (AttachmentState.LEAVING, True)
    host.users.clear()
    assert reconcile(nodes).failed == ()
    assert host.mounts == {}


def test_a_dead_mount_is_let_go_of(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    reconcile(nodes)
    let_go(datastore)
    host.dead.add(ISO)
    assert reconcile(nodes).failed == ()
    assert host.mounts == {}


def test_a_new_one_of_the_same_name_waits_for_the_former(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    reconcile(nodes)
    let_go(datastore)
    make_datastore()
    host.users[ISO] = {"1": "tail"}
    failed = reconcile(nodes).failed
    assert [name for name, _ in failed] == ["mooring-iso", "mooring-iso"]
    assert "still has the former datastore iso" in failed[1][1]
    host.users.clear()
    assert reconcile(nodes).attached == ("mooring-iso",)
    assert [ran for ran in host.ran if "umount" in ran][-1].endswith(f"umount {ISO}")
    assert mounts.KEYRING in nodes.primary.files


def test_one_released_while_it_is_being_mounted_does_not_stay(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    attachments.want(datastore, [nodes.rows["primary"]])

    def release() -> None:
        attachments.release(datastore)

    nodes.primary.fail("write_file", release)
    reconcile(nodes)
    assert host.mounts == {}


def test_one_mounted_twice_is_let_go_of_twice(nodes: Nodes, host: MountingHost) -> None:
    datastore = make_datastore()
    reconcile(nodes)
    host.below.append(ISO)
    let_go(datastore)
    reconcile(nodes)
    assert (host.mounts, host.below) == ({}, [])
