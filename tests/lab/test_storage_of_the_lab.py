"""The lab's storage is a Ceph cluster of its nodes: it lives, dies and comes back with them, and keeps its data."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import RunningLab

pytestmark = pytest.mark.lab

NODES = ["primary", "secondnode1", "secondnode2"]
POOL, TEXT = "kept-data", "written before the power cut\n"


def ceph(lab: RunningLab, *words: str, node: str = "primary") -> Any:
    return json.loads(lab.exec(node, "ceph", *words, "--format", "json"))


def osds(lab: RunningLab) -> dict[int, dict[str, Any]]:
    return {osd["id"]: osd for osd in lab.status()["storage"]["osds"]}


def processes(lab: RunningLab, node: str) -> list[str]:
    return [line for line in lab.exec(node, "ps", "-eo", "args").splitlines() if line.startswith("ceph-")]


@pytest.fixture(scope="module")
def pool(lab: RunningLab) -> Iterator[str]:
    """A pool of three copies with one object in it."""
    lab.exec("primary", "ceph", "osd", "pool", "create", POOL)
    lab.exec("primary", "ceph", "osd", "pool", "application", "enable", POOL, "test")
    done = lab.attempt("exec", "primary", "rados", "--pool", POOL, "put", "letter", "-", stdin=TEXT)
    assert done.returncode == 0, done.stderr
    yield POOL
    lab.exec("primary", "ceph", "osd", "pool", "rm", POOL, POOL, "--yes-i-really-really-mean-it")


def letter(lab: RunningLab, node: str) -> str:
    return lab.exec(node, "rados", "--pool", POOL, "get", "letter", "-")


def test_the_cluster_is_healthy_with_a_quorum_of_three(lab: RunningLab) -> None:
    storage = lab.status()["storage"]
    assert storage["health"] == "HEALTH_OK"
    assert storage["monitors"] == [{"name": name, "quorum": True} for name in NODES]
    assert sorted(entry["state"] for entry in storage["managers"]) == ["active", "standby"]
    assert [osd["up"] and osd["in"] for osd in storage["osds"]] == [True] * 9
    for node in NODES:
        assert ceph(lab, "status", node=node)["fsid"] == storage["fsid"]


def test_each_daemon_runs_inside_its_node(lab: RunningLab) -> None:
    for index, node in enumerate(NODES):
        seen = " ".join(processes(lab, node))
        assert f"ceph-mon -f -i {node} " in seen
        assert all(f"ceph-osd -f -i {disk * 3 + index} " in seen for disk in range(3))
        assert ("ceph-mgr" in seen) == (node != "secondnode2")
        assert ("ceph-mds" in seen) == (node != "secondnode1")


def test_disks_are_in_the_tiers_that_were_promised(lab: RunningLab) -> None:
    tree = {entry["name"]: entry for entry in ceph(lab, "osd", "tree")["nodes"]}
    for number, osd in osds(lab).items():
        assert tree[f"osd.{number}"]["device_class"] == osd["tier"] == ("tier1" if number < 6 else "tier2")
        assert osd["node"] == NODES[number % 3]
        assert number in tree[osd["node"]]["children"]


def test_a_client_without_the_key_is_refused(lab: RunningLab) -> None:
    wrong = ("--key", "AQBvaBdiAAAAABAAMTIzNDU2Nzg5MDEyMzQ1Ng==", "--connect-timeout", "10", "status")
    for words in (("--keyring", "/dev/null", "status"), wrong):
        done = lab.attempt("exec", "primary", "ceph", *words)
        assert done.returncode != 0
        assert "fsid" not in done.stdout
    assert lab.exec("primary", "stat", "-c", "%a %U", "/etc/ceph/ceph.client.admin.keyring") == "600 root\n"


def test_a_disk_switched_off_is_down_and_its_data_are_still_there(lab: RunningLab, pool: str) -> None:
    lab.run("disk-off", "4")
    try:
        assert not [line for line in processes(lab, "secondnode1") if " -i 4 " in line]
        _until(lambda: osds(lab)[4]["up"] is False, 60)
        assert osds(lab)[4]["disk"] == "off"
        lab.exec("secondnode1", "service", "ceph", "start")
        assert not [line for line in processes(lab, "secondnode1") if " -i 4 " in line]
        assert letter(lab, "secondnode2") == TEXT
    finally:
        lab.run("disk-on", "4")
    assert (osds(lab)[4]["up"], osds(lab)[4]["disk"]) == (True, "on")


def test_a_disk_that_is_not_there_cannot_be_switched(lab: RunningLab) -> None:
    done = lab.attempt("disk-off", "99")
    assert done.returncode == 1
    assert "no disk 99" in done.stderr


def test_power_takes_a_nodes_monitor_and_osds_and_brings_all_but_the_disk_switched_off(
    lab: RunningLab, pool: str
) -> None:
    lab.run("disk-off", "2")
    try:
        lab.power_off("secondnode2")
        _until(lambda: [osds(lab)[number]["up"] for number in (2, 5, 8)] == [False] * 3, 60)
        _until(lambda: [entry["quorum"] for entry in lab.status()["storage"]["monitors"]] == [True, True, False], 60)
        assert letter(lab, "primary") == TEXT
        lab.power_on("secondnode2")
        assert [osds(lab)[number]["up"] for number in (2, 5, 8)] == [False, True, True]
        assert all(entry["quorum"] for entry in lab.status()["storage"]["monitors"])
    finally:
        lab.up()
    assert osds(lab)[2]["up"]
    assert letter(lab, "secondnode2") == TEXT


def test_down_and_up_bring_the_same_cluster_back_with_its_data(lab: RunningLab, pool: str) -> None:
    before = lab.status()["storage"]["fsid"]
    lab.run("down")
    silent = lab.status()["storage"]
    assert (silent["health"], silent["why"]) == (None, "no quorum is possible: two nodes need power and link")
    lab.up()
    storage = lab.status()["storage"]
    assert (storage["fsid"], storage["health"]) == (before, "HEALTH_OK")
    assert letter(lab, "secondnode1") == TEXT


def test_fewer_disks_or_another_tier_are_refused_to_a_cluster_that_is_kept(lab: RunningLab) -> None:
    for words, says in ((("--disks", "2"), "3 to 7 disks"), (("--one-tier", "1"), "has two tiers")):
        done = lab.attempt("up", *words)
        assert done.returncode == 1
        assert says in done.stderr


def _until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.3)
