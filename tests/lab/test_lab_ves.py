"""The lab's nine VEs: real guests in the states of the source document."""

import time

import pytest

from tests.lab.conftest import RunningLab
from tests.waiting import eventually

pytestmark = pytest.mark.lab

FIRST_STATES = {
    "primary": {"ct1": "running", "va-mn": "running", "vm2": "stopped", "vmtest": "running"},
    "secondnode1": {"ct2": "running", "cttest": "stopped", "vmd-desktop": "paused"},
    "secondnode2": {"ct3": "running", "vmd-cli": "running"},
}


@pytest.fixture(scope="module")
def fresh(lab: RunningLab) -> RunningLab:
    """The lab with all VEs as `down` and `up` leave them."""
    lab.run("down")
    lab.up()
    return lab


def test_a_fresh_lab_has_nine_ves_in_their_first_states(fresh: RunningLab) -> None:
    assert {name: fresh.states(name) for name in FIRST_STATES} == FIRST_STATES


def test_status_tells_the_same_as_libvirt(fresh: RunningLab) -> None:
    said = {node["name"]: {ve["name"]: ve["state"] for ve in node["ves"]} for node in fresh.status()["nodes"]}
    words = {"running": "running", "paused": "paused", "stopped": "shut off"}
    assert said == {node: {name: words[state] for name, state in fresh.states(node).items()} for node in FIRST_STATES}


def test_the_guest_agent_reads_a_counter_that_counts_seconds(fresh: RunningLab) -> None:
    began = time.monotonic()
    first = int(fresh.in_guest("primary", "vmtest", "cat /tmp/tick"))
    eventually(lambda: int(fresh.in_guest("primary", "vmtest", "cat /tmp/tick")) >= first + 3, 90)
    assert time.monotonic() - began > 1.5


def test_a_vm_carries_its_name_and_has_an_address_from_dhcp(fresh: RunningLab) -> None:
    assert fresh.in_guest("primary", "vmtest", "hostname").strip() == "vmtest"
    subnet = fresh.node("primary").address.rsplit(".", 1)[0]
    eventually(lambda: f"inet {subnet}." in fresh.in_guest("primary", "vmtest", "ip -4 addr show eth0"), 90)


def test_a_vm_shows_vnc_on_a_unix_socket_only(fresh: RunningLab) -> None:
    assert "<listen type='socket'" in fresh.virsh("primary", "dumpxml", "vmtest")
    assert ":59" not in fresh.exec("primary", "ss", "-ltnH")


def test_a_vm_switches_off_when_its_power_button_is_pressed_or_its_agent_is_asked(fresh: RunningLab) -> None:
    for mode in ("acpi", "agent"):
        fresh.virsh("secondnode2", "shutdown", "vmd-cli", "--mode", mode)
        eventually(lambda: fresh.states("secondnode2")["vmd-cli"] == "stopped", 90)
        fresh.up()  # starts it and waits for its agent


def test_a_ct_counts_and_has_an_address_from_dhcp(fresh: RunningLab) -> None:
    ticks = "/srv/shared/ct/ct1/root/ticks"
    first = int(fresh.exec("primary", "cat", ticks))
    eventually(lambda: int(fresh.exec("primary", "cat", ticks)) > first, 90)
    inside = ("lxc-enter-namespace", "ct1", "--noseclabel", "/bin/ip", "-4", "addr", "show", "eth0")
    subnet = fresh.node("primary").address.rsplit(".", 1)[0]

    def has_address() -> bool:
        done = fresh.attempt("exec", "primary", "virsh", "-c", "lxc:///system", *inside)
        if "Init pid is not yet available" in done.stderr:
            _start_anew(fresh, "primary", "ct1")
        return f"inet {subnet}." in done.stdout

    eventually(has_address, 120)


def _start_anew(fresh: RunningLab, node: str, name: str) -> None:
    """libvirt now and then misses a container's word of its init, and learns of it with the next start only."""
    for word in ("destroy", "start"):
        fresh.attempt("exec", node, "virsh", "-c", "lxc:///system", word, name)


def test_a_ct_stops_in_an_orderly_way_on_a_signal(fresh: RunningLab) -> None:
    virsh = ("exec", "secondnode2", "virsh", "-c", "lxc:///system")
    ask = (*virsh, "shutdown", "ct3", "--mode", "signal")

    def accepted() -> bool:
        if fresh.attempt(*ask).returncode == 0:
            return True
        _start_anew(fresh, "secondnode2", "ct3")
        return False

    eventually(accepted, 60)

    def stopped() -> bool:
        # An init that has not set its handler yet loses the first signal.
        fresh.attempt(*ask)
        return fresh.states("secondnode2")["ct3"] == "stopped"

    eventually(stopped, 90)
    fresh.virsh("secondnode2", "start", "ct3", kind="lxc")


def test_the_shared_folder_is_the_same_on_each_node(fresh: RunningLab) -> None:
    fresh.exec("primary", "sh", "-c", "echo here >/srv/shared/probe")
    try:
        for name in FIRST_STATES:
            assert fresh.exec(name, "cat", "/srv/shared/probe") == "here\n"
    finally:
        fresh.exec("primary", "rm", "/srv/shared/probe")


def test_each_node_has_the_network_lan_on_its_bridge(fresh: RunningLab) -> None:
    for name in FIRST_STATES:
        xml = fresh.virsh(name, "net-dumpxml", "lan")
        assert "<forward mode='bridge'/>" in xml
        assert "<bridge name='br0'/>" in xml
        assert "yes" in fresh.virsh(name, "net-list", "--all").splitlines()[2].split()
