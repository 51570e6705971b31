"""What tgt itself does on a node of the lab, which no fake can show: with initiators of Debian's libiscsi and QEMU."""

import re
from collections.abc import Iterator

import pytest

from infrastructure.drivers.base import Conflict, Endpoint
from iscsi.drivers import protocol
from iscsi.drivers.facts import Account, LunSpec, ServerSpec
from iscsi.drivers.tgt import TgtServers
from storage.drivers.base import StorageCluster
from tests.contract.iscsi_subjects import IQN, MIB, NODE, NUMBERS, PEER, POOL, LabSubject, facts
from tests.e2e.lab import NODES, Lab
from tests.lab.initiator import Initiator, NotLetIn
from tests.waiting import eventually

pytestmark = pytest.mark.lab

NAME = "iqn.2001.com.example:a"
LUN = LunSpec(1, POOL, "lun-engine", "6d6f6f72696e6701")
OTHER = LunSpec(1, POOL, "lun-other", "6d6f6f72696e6702")
ANA, PANEL = Account("ana", "correct horse!", 1), Account("panel", "battery staple", 1)

_WRITE_AND_KILL = """
qemu-io -t none -f raw -c "write -P 7 0 1M" "$1" >/dev/null
qemu-io -t unsafe -f raw -c "write -P 8 1M 1M" -c abort "$1" >/dev/null 2>&1
kill -KILL "$(cut -d" " -f1 /run/mooring-iscsi/1/run)"
"""


@pytest.fixture(name="node")
def with_a_target(lab_storage: tuple[Lab, StorageCluster], onboarded_lab: dict[str, Endpoint]) -> Iterator[LabSubject]:
    """A node with server 1, whose target shows an image of 64 MiB to everybody."""
    made = LabSubject(*lab_storage, onboarded_lab[NODE])
    made.make_image(LUN.image, 64 * MIB)
    build(made)
    yield made
    for number in NUMBERS:
        made.servers.stop(number)
    made.servers.remove_address(made.free, made.prefix, made.interface)


def build(node: LabSubject) -> None:
    node.servers.start(ServerSpec(1, (node.portal,)))
    node.servers.make_target(1, IQN)
    node.servers.add_lun(1, LUN)
    node.servers.open(1)


def disk(node: LabSubject, iqn: str = IQN, lun: int = 1) -> str:
    return f"iscsi://{node.portal}/{iqn}/{lun}"


def on_peer(lab: Lab, script: str, *words: str) -> str:
    return lab.exec(PEER, "sh", "-c", f"timeout 100 sh -ec '{script}' sh \"$@\" 2>&1", "sh", *words)


def test_each_lun_is_a_disk_of_its_own_also_after_a_crash(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    """Initiators join what has one identity: two LUNs 1 of two targets must not be the same disk."""
    initiator = Initiator(lab_storage[0], PEER)
    node.make_image(OTHER.image, 64 * MIB)
    node.servers.add_address(node.free, node.prefix, node.interface)
    node.servers.start(ServerSpec(2, (node.free,)))
    node.servers.make_target(2, f"{IQN}2")
    node.servers.add_lun(2, OTHER)
    node.servers.open(2)

    def identity(portal: str, iqn: str) -> str:
        pages = [initiator.inquiry(portal, iqn, 1, "-e", "1", "-c", page, name=NAME) for page in ("128", "131")]
        return "\n".join(pages)

    first, second = identity(node.portal, IQN), identity(node.free, f"{IQN}2")
    assert LUN.serial in first and OTHER.serial in second
    names = [set(re.findall(r"Designator:\s*\[?([^\]\n]+)", each)) for each in (first, second)]
    assert names[0] and not names[0] & names[1]
    node.crash(1)
    build(node)
    assert identity(node.portal, IQN) == first


def test_what_was_written_is_there_when_the_server_was_killed_at_once(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    """Nothing that was answered may be lost with the server: initiators do not learn that its cache was emptied."""
    lab, cluster = lab_storage
    was = facts(node.servers).instance
    # Where the server is, to kill it within the same moment; the flush before makes a cache of librbd's keep writes.
    lab.exec(NODE, "sh", "-c", _WRITE_AND_KILL, "sh", disk(node))
    eventually(lambda: node.servers.look(1).instance not in ("", was))
    cluster.free_image(POOL, LUN.image)
    build(node)
    said = on_peer(lab, 'qemu-io -r -f raw -c "read -P 7 0 1M" -c "read -P 8 1M 1M" "$1"', disk(node))
    assert "verification failed" not in said and said.count("read 1048576/1048576") == 2, said


def test_a_write_is_not_answered_before_ceph_has_it(node: LabSubject, lab_storage: tuple[Lab, StorageCluster]) -> None:
    lab = lab_storage[0]
    write = 'timeout 3 qemu-io -t unsafe -f raw -c "write -P $2 0 4k" "$1" >/dev/null || echo "code $?"'
    on_peer(lab, 'qemu-io -t none -f raw -c "write -P 7 0 1M" "$1"', disk(node))
    assert on_peer(lab, write, disk(node), "8") == ""
    try:
        for name in NODES:
            lab.exec(name, "pkill", "-STOP", "-x", "ceph-osd")
        assert on_peer(lab, write, disk(node), "9").split() == ["code", "124"]
    finally:
        for name in NODES:
            lab.exec(name, "pkill", "-CONT", "-x", "ceph-osd")
    assert on_peer(lab, write.replace("timeout 3", "timeout 60"), disk(node), "10") == ""


def test_one_who_held_an_image_and_died_is_shut_out_and_the_next_need_not_wait(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    lab, cluster = lab_storage
    on_peer(lab, 'qemu-io -f raw -c "write -P 1 0 4k" "$1"', disk(node))
    node.crash(1)
    assert (cluster.free_image(POOL, LUN.image), cluster.free_image(POOL, LUN.image)) == (True, False)
    build(node)
    took = on_peer(
        lab, 's=$(date +%s); qemu-io -f raw -c "write -P 2 0 4k" "$1" >&2; echo $(($(date +%s) - s))', disk(node)
    )
    assert int(took.split()[-1]) < 20


def test_a_server_that_runs_is_shut_out_of_its_image_for_good_and_the_next_one_has_it(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    """Before it ever wrote, too: then it holds no lock that could be taken from it."""
    lab, cluster = lab_storage
    own = node.portal
    with pytest.raises(Conflict, match=f"is open at {own}"):
        cluster.shut_out(POOL, LUN.image, {"192.0.2.1"})
    shut_out = cluster.shut_out(POOL, LUN.image, {own})
    assert shut_out and all(each.startswith(f"{own}:") for each in shut_out), shut_out
    said = on_peer(lab, 'qemu-io -t none -f raw -c "write -P 3 0 4k" "$1" || true', disk(node))
    assert "wrote 4096/4096" not in said, said
    eventually(lambda: cluster.shut_out(POOL, LUN.image, {own}) == ())
    node.servers.stop(1)
    build(node)
    said = on_peer(lab, 'qemu-io -t none -f raw -c "write -P 4 0 4k" -c "read -P 4 0 4k" "$1"', disk(node))
    assert "verification failed" not in said and "wrote 4096/4096" in said, said


def test_a_read_of_no_blocks_kills_the_server_and_it_comes_back(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    lab, cluster = lab_storage
    was = facts(node.servers)
    on_peer(lab, 'timeout 5 iscsi-test-cu -t SCSI.Read10.ZeroBlocks -d "$1" || true', disk(node))
    eventually(lambda: (now := node.servers.look(1)).error is None and now.running and now.instance != was.instance)
    assert facts(node.servers).target is None
    cluster.free_image(POOL, LUN.image)
    build(node)
    assert node.seen(1) == {IQN: {1}}


def test_sizes_are_told_to_the_megabyte(node: LabSubject, lab_storage: tuple[Lab, StorageCluster]) -> None:
    """Of 1 GiB as of 5 TiB: a LUN that seems to have another size is loaded again."""
    for number, size in ((2, 1 << 30), (3, 5 << 40)):
        node.make_image(f"lun-{number}", size)
        node.servers.add_lun(1, LunSpec(number, POOL, f"lun-{number}", f"0{number}"))
    told = facts(node.servers).target
    assert told is not None
    sizes = {lun.number: lun.size for lun in told.luns}
    assert all(abs(sizes[number] - size) <= 2_000_000 for number, size in ((2, 1 << 30), (3, 5 << 40))), sizes


def test_a_target_whose_reload_was_interrupted_goes_on_when_it_is_opened(node: LabSubject) -> None:
    assert isinstance(node.servers, TgtServers)
    target, _ = node.servers._require(1)
    node.servers._do(1, protocol.set_state(target, "offline"), "pause")
    told = facts(node.servers).target
    assert told is not None and (told.ready, told.initiators) == (False, None)
    assert (node.servers.open(1), node.servers.open(1)) == (True, False)
    assert node.seen(1) == {IQN: {1}}


def test_a_target_proves_itself_to_an_initiator_that_asks(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    node.servers.set_accounts(1, (ANA,), PANEL)
    initiator = Initiator(lab_storage[0], PEER)
    told = {"name": NAME, "user": ANA.user, "password": ANA.secret}
    assert initiator.targets(node.portal, **told, proof=(PANEL.user, PANEL.secret)) == {IQN: {1}}
    with pytest.raises(NotLetIn):
        initiator.targets(node.portal, **told, proof=(PANEL.user, "something else"))


def test_secrets_are_in_no_argument_list_no_log_and_no_file_of_the_node_but_the_keyring(
    node: LabSubject, lab_storage: tuple[Lab, StorageCluster]
) -> None:
    lab = lab_storage[0]
    node.servers.set_accounts(1, (ANA,), PANEL)
    key = lab.exec(NODE, "ceph", "auth", "print-key", "client.mooring-iscsi").strip()
    arguments = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    files = "cat /var/log/mooring-iscsi/* /run/mooring-iscsi/*/* 2>/dev/null"
    said = lab.exec(NODE, "sh", "-c", f"{arguments}; {files}; true")
    assert "tgtd -f -C 1" in said
    for secret in (ANA.secret, PANEL.secret, key):
        assert secret not in said
    found = lab.exec(NODE, "sh", "-c", "cd /etc/mooring && stat -c '%a %n' *").split("\n")
    assert "600 iscsi-ceph.keyring" in found
    assert lab.exec(NODE, "sh", "-c", 'grep -lF "$0" /etc/mooring/* || true', key).split() == [
        "/etc/mooring/iscsi-ceph.keyring"
    ]
