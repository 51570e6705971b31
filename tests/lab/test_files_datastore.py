"""A datastore for files on the lab's Ceph: one directory on all nodes, its data in its own pool, back after a boot."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Refused
from infrastructure.models import Node
from storage.choices import Use
from storage.drivers.ceph_connection import Connection
from storage.drivers.ceph_round import Round
from storage.models import Attachment, Datastore
from storage.services import attachments, datastores, mounts
from storage.services.access import access_of
from tests.lab.ceph import rados, told
from tests.lab.storage_panel import StoragePanel
from tests.waiting import eventually

pytestmark = pytest.mark.lab
FOLDER, ELSEWHERE = "/srv/mooring/iso", "/tmp/elsewhere"
NODES = ("primary", "secondnode1", "secondnode2")
_WRITE = f"dd if=/dev/urandom of={FOLDER}/debian.iso bs=1M count=24 conv=fsync 2>/dev/null"
# Most capabilities that a client has are given back at once; those of one that lost its power after a minute.
EVICTION_SECONDS = 90


@pytest.fixture
def datastore(storage_panel: StoragePanel) -> Iterator[Datastore]:
    made = storage_panel.create("iso", use=Use.FILES)
    yield made
    storage_panel.remove(made)
    lab = storage_panel.lab
    assert not [pool for pool in told(lab, "osd", "pool", "ls") if pool.startswith("mooring-files")]
    assert told(lab, "fs", "ls") == []
    assert not [rule for rule in told(lab, "osd", "crush", "rule", "ls") if rule.startswith("mooring-")]
    for node in NODES:
        assert "/srv/mooring" not in lab.exec(node, "cat", "/proc/mounts")
        assert lab.exec(node, "sh", "-c", "ls -d /srv/mooring /etc/ceph/mooring* 2>/dev/null || true").strip() == ""


def checksum(panel: StoragePanel, node: str) -> str:
    return panel.lab.exec(node, "sha256sum", f"{FOLDER}/debian.iso").split()[0]


def empty(panel: StoragePanel) -> None:
    panel.lab.exec("primary", "find", FOLDER, "-mindepth", "1", "-delete", timeout=EVICTION_SECONDS)


def test_files_are_the_same_on_all_nodes_lie_in_its_pool_and_are_back_after_a_boot(
    storage_panel: StoragePanel, datastore: Datastore
) -> None:
    lab = storage_panel.lab
    assert set(Attachment.objects.values_list("node__name", "kind", "state")) == {
        (node, "files", "attached") for node in NODES
    }
    lab.exec("primary", "sh", "-ec", _WRITE)
    written = checksum(storage_panel, "primary")
    assert checksum(storage_panel, "secondnode1") == written
    inode = int(lab.exec("primary", "stat", "-c", "%i", f"{FOLDER}/debian.iso"))
    assert f"{inode:x}.00000000" in rados(lab, "-p", datastore.data_pool, "ls").split()

    refused = storage_panel.nodes.run(
        datastores.remove(user=storage_panel.nodes.admin, datastore=datastore, confirmation="iso")
    )
    assert (refused.state, "it holds 1 file or folder: debian.iso" in refused.reason) == ("failed", True)

    lab.power_off("secondnode1")
    lab.power_on("secondnode1")
    assert FOLDER not in lab.exec("secondnode1", "cat", "/proc/mounts")
    eventually(lambda: not attachments.reconcile(Node.objects.get(name="secondnode1")).failed, seconds=60)
    assert checksum(storage_panel, "secondnode1") == written
    empty(storage_panel)


def test_a_mount_whose_process_was_killed_is_back_and_one_in_use_says_who_uses_it(
    storage_panel: StoragePanel, datastore: Datastore
) -> None:
    lab, node = storage_panel.lab, Node.objects.get(name="secondnode1")
    lab.exec("secondnode1", "pkill", "-KILL", "-x", "ceph-fuse")
    assert attachments.reconcile(node).failed == ()
    lab.exec("secondnode1", "sh", "-ec", f"echo hello >{FOLDER}/note; cat {FOLDER}/note")
    empty(storage_panel)

    lab.exec("secondnode1", "sh", "-c", f"cd {FOLDER} && setsid sleep 600 >/dev/null 2>&1 </dev/null &")
    attachments.release(datastore)
    [(_, reason)] = attachments.reconcile(node).failed
    assert f"{FOLDER} is in use by sleep (" in reason
    lab.exec("secondnode1", "pkill", "-x", "-f", "sleep 600")
    attachments.keep(datastore)
    assert attachments.reconcile(node).failed == ()


def test_a_code_can_hold_files(storage_panel: StoragePanel, datastore: Datastore) -> None:
    lab = storage_panel.lab
    wide = storage_panel.create("wide", use=Use.FILES, tier=1, mode="ec3-2", domain="osd")
    try:
        lab.exec("primary", "sh", "-ec", "head -c 5000000 /dev/urandom >/srv/mooring/wide/x; sync /srv/mooring/wide/x")
        sums = {lab.exec(node, "sha256sum", "/srv/mooring/wide/x").split()[0] for node in NODES}
        assert len(sums) == 1
        assert rados(lab, "-p", wide.data_pool, "ls").split()
        lab.exec("primary", "rm", "/srv/mooring/wide/x")
    finally:
        storage_panel.remove(wide)
    assert [found["name"] for found in told(lab, "fs", "ls")] == ["mooring"]


_FORBIDDEN: tuple[dict[str, object], ...] = (
    {"prefix": "fs rm", "fs_name": "theirs", "yes_i_really_mean_it": True},
    {"prefix": "fs fail", "fs_name": "theirs"},
    {"prefix": "fs add_data_pool", "fs_name": "mooring", "pool": "theirs"},
    {"prefix": "fs set", "fs_name": "mooring", "var": "max_mds", "val": "2"},
    {"prefix": "mds fail", "role_or_gid": "primary"},
)
_OTHER_LAYOUT = f"import os; os.setxattr({FOLDER!r}, 'ceph.dir.layout.pool', b'mooring-files.root')"


def test_neither_the_panel_nor_a_node_may_do_more_than_it_needs(
    storage_panel: StoragePanel, datastore: Datastore
) -> None:
    connection = Connection(access_of(datastore.cluster))
    for command in _FORBIDDEN:
        words = {key: value for key, value in command.items() if key != "prefix"}
        prefix = str(command["prefix"])
        with pytest.raises(Refused) as caught:
            connection.run(
                lambda handle, ask=(prefix, words): Round(handle, "x").do(ask[0], **ask[1]), seconds=5, doing="x"
            )
        assert caught.value.code == "EACCES", prefix
    connection.close()
    lab = storage_panel.lab
    *own, _ = mounts.mount_command(datastore.cluster, datastore.name)
    at = own.index("-r")
    lab.exec("primary", "mkdir", "-p", ELSEWHERE)
    for root, may in ((own[at + 1], True), ("/", False), ("/volumes", False)):
        mount = [*own[:at], "-r", root, ELSEWHERE]
        done = lab.attempt("exec", "primary", "timeout", "60", *mount)
        assert (done.returncode == 0) is may, f"{root}: {done.stdout} {done.stderr}"
        if may:
            lab.exec("primary", "umount", ELSEWHERE)
    layout = lab.attempt("exec", "primary", "python3", "-c", _OTHER_LAYOUT)
    assert "PermissionError" in layout.stderr
