"""Power off and on: a hard end of everything in a node, and a boot that brings its VEs back."""

from pathlib import Path

import pytest

from tests.lab.conftest import RunningLab

pytestmark = pytest.mark.lab


def test_power_off_ends_every_process_of_the_node_at_once(lab: RunningLab) -> None:
    lab.up()
    init = lab.node("secondnode2").pid
    namespace = Path(f"/proc/{init}/ns/net").readlink()
    try:
        lab.power_off("secondnode2")
        assert not Path(f"/proc/{init}").exists()
        assert namespace not in _network_namespaces_in_use()
        refused = lab.attempt("exec", "secondnode2", "true")
        assert refused.returncode == 1
        assert "has no power" in refused.stderr
    finally:
        lab.power_on("secondnode2")


def test_power_on_brings_back_identity_services_and_ves(lab: RunningLab) -> None:
    lab.up()
    before, states = lab.node("secondnode2"), lab.states("secondnode2")
    lab.exec("secondnode2", "touch", "/etc/kept", "/run/forgotten")
    lab.power_off("secondnode2")
    lab.power_on("secondnode2")
    after = lab.node("secondnode2")
    assert (after.fingerprint, after.host_uuid, after.address) == (before.fingerprint, before.host_uuid, before.address)
    assert after.pid != before.pid
    assert lab.states("secondnode2") == states
    lab.exec("secondnode2", "rm", "/etc/kept")
    assert lab.attempt("exec", "secondnode2", "test", "-e", "/run/forgotten").returncode == 1


def test_up_starts_what_has_no_power_and_leaves_the_rest_alone(lab: RunningLab) -> None:
    lab.up()
    before = {node.name: node.pid for node in lab.nodes}
    lab.power_off("secondnode1")
    lab.up()
    after = {node.name: node.pid for node in lab.nodes}
    assert after["secondnode1"] != before.pop("secondnode1")
    assert before.items() <= after.items()
    assert lab.states("secondnode1")["ct2"] == "running"


def test_up_starts_a_ve_that_should_run(lab: RunningLab) -> None:
    lab.virsh("primary", "destroy", "va-mn", kind="lxc")
    assert lab.states("primary")["va-mn"] == "stopped"
    lab.up()
    assert lab.states("primary")["va-mn"] == "running"


def _network_namespaces_in_use() -> set[Path]:
    found = set()
    for process in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(process.readlink())
        except OSError:
            continue
    return found
