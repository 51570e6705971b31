"""The lab's nodes are three machines of their own, as real as namespaces make them."""

import base64
import hashlib
import socket
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import RunningLab

pytestmark = pytest.mark.lab

NAMES = ["primary", "secondnode1", "secondnode2"]


def test_there_are_three_nodes_with_addresses_uuids_and_host_keys_of_their_own(lab: RunningLab) -> None:
    nodes = lab.nodes
    assert [node.name for node in nodes] == NAMES
    for field in ("address", "host_uuid", "fingerprint", "pid"):
        assert len({getattr(node, field) for node in nodes}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_node_has_its_own_hostname_machine_id_and_process_1(lab: RunningLab, name: str) -> None:
    assert lab.exec(name, "hostname").strip() == name
    assert "node-init.sh" in lab.exec(name, "cat", "/proc/1/cmdline")
    others = {lab.exec(other, "cat", "/etc/machine-id") for other in NAMES if other != name}
    assert lab.exec(name, "cat", "/etc/machine-id") not in others


@pytest.mark.parametrize("namespace", ["net", "mnt", "uts", "ipc", "pid", "cgroup"])
def test_no_two_nodes_share_a_namespace(lab: RunningLab, namespace: str) -> None:
    seen = {lab.exec(name, "readlink", f"/proc/self/ns/{namespace}") for name in NAMES}
    ours = subprocess.run(["readlink", f"/proc/self/ns/{namespace}"], capture_output=True, text=True, check=True).stdout
    assert len(seen | {ours}) == 4


def test_libvirt_names_the_host_uuid_that_status_names(lab: RunningLab) -> None:
    for node in lab.nodes:
        assert f"<uuid>{node.host_uuid}</uuid>" in lab.virsh(node.name, "capabilities")
        assert f"<uuid>{node.host_uuid}</uuid>" in lab.virsh(node.name, "capabilities", kind="lxc")


def test_ssh_answers_with_the_key_of_which_status_prints_the_fingerprint(lab: RunningLab) -> None:
    for node in lab.nodes:
        scan = ["ssh-keyscan", "-t", "ed25519", "-p", str(node.ssh_port), node.address]
        key = subprocess.run(scan, capture_output=True, text=True, check=True).stdout.split()[2]
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")
        assert node.fingerprint == f"SHA256:{digest}"


def test_ssh_takes_no_password(lab: RunningLab) -> None:
    node = lab.nodes[0]
    options = ["-o", "PubkeyAuthentication=no", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    done = subprocess.run(
        ["ssh", *options, "-o", "BatchMode=yes", "-p", str(node.ssh_port), f"root@{node.address}", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_nodes_know_each_other_by_name(lab: RunningLab) -> None:
    for node in lab.nodes:
        assert node.address in lab.exec("primary", "getent", "hosts", node.name)


def test_a_node_cannot_write_the_programs_it_shares_with_the_host(lab: RunningLab) -> None:
    done = lab.attempt("exec", "primary", "touch", "/usr/written-by-a-node")
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr


def test_a_node_has_no_way_out_of_the_lab(lab: RunningLab) -> None:
    assert "default" not in lab.exec("primary", "ip", "route")
    subnet = lab.node("primary").address.split(".")[2]
    assert Path(f"/proc/sys/net/ipv4/conf/mooring{subnet}/forwarding").read_text().strip() == "0"


def test_the_services_of_a_node_answer_to_their_init_scripts(lab: RunningLab) -> None:
    for service in ("virtlogd", "libvirtd", "ssh"):
        assert "running" in lab.exec("secondnode2", "service", service, "status")


def test_restarting_libvirtd_leaves_the_guests_running(lab: RunningLab) -> None:
    before = lab.states("secondnode2")
    lab.exec("secondnode2", "service", "libvirtd", "restart")
    lab.up()  # waits for libvirt
    assert lab.states("secondnode2") == before


def test_exec_passes_exit_code_and_standard_input_on(lab: RunningLab) -> None:
    assert lab.attempt("exec", "primary", "sh", "-c", "exit 7").returncode == 7
    assert lab.attempt("exec", "primary", "cat", stdin="one\ntwo\n").stdout == "one\ntwo\n"


def test_a_cut_node_is_out_of_reach_until_it_is_healed(lab: RunningLab) -> None:
    node = lab.node("secondnode2")
    assert _reachable(node.address)
    lab.cut(node.name)
    try:
        assert not _reachable(node.address)
        assert lab.states(node.name)["vmd-cli"] == "running"
        assert {entry["name"]: entry["link"] for entry in lab.status()["nodes"]}[node.name] == "down"
    finally:
        lab.heal(node.name)
    assert _reachable(node.address)


def test_an_unknown_node_or_a_bad_instance_name_is_refused(lab: RunningLab) -> None:
    assert lab.attempt("exec", "nonode", "true").returncode == 2
    for name in ("../x", "Main", "cache", "a" * 17, ""):
        done = lab.attempt("--instance", name, "status")
        assert done.returncode == 1
        assert "cannot name a lab" in done.stderr


def _reachable(address: str) -> bool:
    try:
        socket.create_connection((address, 22), timeout=3).close()
    except OSError:
        return False
    return True
