"""The driver on the lab's Ceph: fast when idle, never held up by a daemon that hangs, allowed no more than it needs."""

import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from infrastructure.drivers.base import within
from infrastructure.drivers.errors import Refused, Unreachable
from storage.drivers.base import Access, StorageCluster
from storage.drivers.ceph import CephCluster
from storage.drivers.ceph_connection import Connection
from storage.drivers.ceph_look import LOOK_SECONDS
from storage.drivers.ceph_round import Round
from storage.drivers.facts import ClusterFacts
from tests.lab import ceph
from tests.lab.conftest import RunningLab
from tests.waiting import eventually

pytestmark = pytest.mark.lab
MARGIN = 10.0  # of a machine that is busy with something else; what is held up without a deadline waits far longer


@pytest.fixture(scope="module")
def access(lab: RunningLab) -> Access:
    return ceph.access(lab)


@pytest.fixture
def cluster(access: Access) -> Iterator[StorageCluster]:
    made = CephCluster(access)
    eventually(lambda: answers(made), seconds=60)
    yield made
    made.close()


def answers(cluster: StorageCluster) -> ClusterFacts | None:
    """The facts, once everything answers and all monitors are in the quorum."""
    try:
        facts = cluster.look()
    except Unreachable:
        return None
    whole = facts.manager_answers and all(daemon.up for daemon in facts.daemons)
    return facts if whole and all(disk.up for disk in facts.disks) else None


@contextmanager
def frozen(lab: RunningLab, daemon: str, *nodes: str) -> Iterator[None]:
    """The daemons of this kind stopped in the middle of whatever they do."""
    for node in nodes:
        lab.exec(node, "pkill", "-STOP", "-x", daemon)
    try:
        yield
    finally:
        for node in nodes:
            lab.exec(node, "pkill", "-CONT", "-x", daemon)


def timed_look(cluster: StorageCluster) -> tuple[float, ClusterFacts | None]:
    """How long a look took, and what it told if anything."""
    began = time.monotonic()
    try:
        facts = cluster.look()
    except Unreachable:
        return time.monotonic() - began, None
    return time.monotonic() - began, facts


def test_a_look_at_an_idle_cluster_is_far_from_its_deadline(cluster: StorageCluster) -> None:
    cluster.look()
    assert statistics.median(timed_look(cluster)[0] for _ in range(9)) < LOOK_SECONDS / 4


def test_the_clusters_log_may_be_read(lab: RunningLab, access: Access) -> None:
    ceph.ceph(lab, "log", "written by a test")

    def found() -> bool:
        with closing(CephCluster(access)) as fresh:  # one that was asked before asks again after half a minute
            events = fresh.look().events or ()
        return ("info", "written by a test") in {(event.severity, event.message) for event in events}

    eventually(found)


def test_a_monitor_that_hangs_costs_a_look_its_deadline_and_the_next_finds_another(
    lab: RunningLab, cluster: StorageCluster
) -> None:
    node = next(daemon.name for daemon in cluster.look().daemons if daemon.role == "leader")
    with frozen(lab, "ceph-mon", node):
        end = time.monotonic() + 40
        facts = None
        while facts is None or all(daemon.up for daemon in facts.daemons if daemon.kind == "mon"):
            assert time.monotonic() < end, "no look succeeded on the two monitors that are left"
            took, facts = timed_look(cluster)
            assert took < LOOK_SECONDS + 2 + MARGIN  # 2 for the manager, which may wait for its monitor too
        down = [daemon.name for daemon in facts.daemons if daemon.kind == "mon" and not daemon.up]
        assert down == [node]
        for _ in range(3):
            took, facts = timed_look(cluster)
            assert facts is not None and took < LOOK_SECONDS, "a look went to the monitor that hangs"
    eventually(lambda: answers(cluster), seconds=60)


def test_without_a_quorum_every_call_ends_at_its_deadline_with_what_to_check(
    lab: RunningLab, cluster: StorageCluster
) -> None:
    with frozen(lab, "ceph-mon", "primary", "secondnode1"):

        def fails() -> bool:
            took, facts = timed_look(cluster)
            assert took < LOOK_SECONDS + 2 + MARGIN
            return facts is None

        # the third monitor goes on answering until its lease ends
        eventually(lambda: fails() and fails(), seconds=40)
        with within(2), pytest.raises(Unreachable) as caught:
            cluster.look()
        assert "1 of 3 monitors answers" in caught.value.message
        assert "Start its monitors again" in caught.value.advice
        began = time.monotonic()
        with within(1), pytest.raises(Unreachable):
            cluster.make_rule("mooring-driver", device_class="tier1", domain="host")
        assert time.monotonic() - began < 1 + MARGIN
    eventually(lambda: answers(cluster), seconds=60)
    cluster.remove_rule("mooring-driver")  # the effect of a call that timed out is unknown


def test_without_a_manager_its_figures_stay_and_looks_are_fast(lab: RunningLab, cluster: StorageCluster) -> None:
    before = cluster.look()
    with frozen(lab, "ceph-mgr", "primary", "secondnode1"):
        took, facts = timed_look(cluster)
        assert took < LOOK_SECONDS + MARGIN
        assert facts is not None
        assert not facts.manager_answers
        assert [disk.size for disk in facts.disks] == [disk.size for disk in before.disks]
        took, facts = timed_look(cluster)
        assert took < 2, "a manager that did not answer was asked again"
        assert facts is not None and not facts.manager_answers
    eventually(lambda: answers(cluster), seconds=60)


def test_a_monitor_alone_in_the_addresses_is_enough(access: Access) -> None:
    made = CephCluster(replace(access, monitors=access.monitors[1:2]))
    assert made.look().fsid == access.fsid
    made.close()


def test_another_key_is_refused(access: Access) -> None:
    other = "AQC8dQJrDpa5BhAAV8td7dFb1BXaNojdG8XuHw=="
    with pytest.raises(Refused, match="does not accept the key") as caught:
        CephCluster(replace(access, key=other)).look()
    assert other not in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        {"prefix": "auth get", "entity": "client.admin"},
        {"prefix": "auth get-or-create", "entity": "client.thief"},
        {"prefix": "config-key dump"},
        {"prefix": "config set", "who": "mon", "name": "mon_allow_pool_delete", "value": "true"},
        {"prefix": "osd pool create", "pool": "somebodys", "pg_num": 8},
        {"prefix": "osd pool delete", "pool": "rbd", "pool2": "rbd", "yes_i_really_really_mean_it": True},
        {"prefix": "osd pool rename", "srcpool": "mooring-x", "destpool": "somebodys"},
        {"prefix": "osd crush rule rm", "name": "replicated_rule"},
        {"prefix": "osd crush rm", "name": "osd.0"},
        {"prefix": "osd crush add-bucket", "name": "thief", "type": "root"},
        {"prefix": "osd erasure-code-profile rm", "name": "default"},
    ],
    ids=lambda command: str(command["prefix"]),
)
def test_its_user_may_not_do_what_the_driver_never_does(access: Access, command: dict[str, object]) -> None:
    connection = Connection(access)
    words = {key: value for key, value in command.items() if key != "prefix"}
    with pytest.raises(Refused) as caught:
        connection.run(lambda handle: Round(handle, "lab").do(str(command["prefix"]), **words), seconds=5, doing="x")
    assert caught.value.code == "EACCES"
    connection.close()


_SOMEBODYS_POOL = """
ceph osd pool create somebodys 8
ceph osd pool application enable somebodys rbd
echo secret | rados -p somebodys put letter -
"""


def test_its_user_may_not_read_what_lies_in_other_pools(lab: RunningLab, access: Access) -> None:
    lab.exec("primary", "sh", "-ec", _SOMEBODYS_POOL)
    connection = Connection(access)
    try:
        for act in ("read", "write_full"):
            code, said = connection.run(lambda handle, act=act: _touch(handle, act), seconds=5, doing="x")
            assert (code, said) == (1, "")
    finally:
        connection.close()
        ceph.ceph(lab, "osd", "pool", "delete", "somebodys", "somebodys", "--yes-i-really-really-mean-it")


def _touch(handle: object, act: str) -> tuple[int, str]:
    """Read or write an object; the number of the error, and what was read."""
    import rados

    assert isinstance(handle, rados.Rados)
    handle.wait_for_latest_osdmap()
    with handle.open_ioctx("somebodys") as objects:
        try:
            return 0, str(objects.read("letter") if act == "read" else objects.write_full("letter", b"mine"))
        except rados.Error as error:
            return abs(error.errno), ""


_DISK_THAT_NEVER_RAN = """
number=$(ceph osd new $(cat /proc/sys/kernel/random/uuid))
ceph osd crush add osd.$number 0.001 host=primary
ceph osd crush set-device-class tier3 osd.$number
echo $number
"""


def test_a_disk_that_was_drained_is_removed_with_nothing_left(lab: RunningLab, cluster: StorageCluster) -> None:
    number = int(lab.exec("primary", "sh", "-ec", _DISK_THAT_NEVER_RAN).split()[0])
    try:
        assert next(disk for disk in cluster.look().disks if disk.id == number).host == "primary"
        cluster.set_taken(number, taken=False)
        eventually(lambda: cluster.may_destroy(number), seconds=60)
        assert cluster.purge(number) is True
        assert cluster.purge(number) is False
        facts = cluster.look()
        assert number not in {disk.id for disk in facts.disks}
        assert number not in {child for bucket in facts.buckets for child in bucket.children}
        assert f"osd.{number}" not in ceph.ceph(lab, "auth", "ls")
    finally:
        if number in {disk.id for disk in cluster.look().disks}:
            ceph.ceph(lab, "osd", "purge", str(number), "--force", "--yes-i-really-mean-it")
