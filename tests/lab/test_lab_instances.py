"""Several labs side by side, and what is left after one has gone."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import ROOT, RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture
def second() -> Iterator[RunningLab]:
    """Another lab, gone after the test."""
    other = RunningLab("test-second")
    other.run("down", "--purge")
    yield other
    other.run("down", "--purge")


def test_a_second_lab_is_independent_of_the_first(lab: RunningLab, second: RunningLab) -> None:
    second.up()
    firsts, seconds = lab.nodes, second.nodes
    for field in ("address", "host_uuid", "fingerprint", "pid"):
        assert not {getattr(node, field) for node in firsts} & {getattr(node, field) for node in seconds}
    assert second.exec("primary", "hostname") == "primary\n"
    second.power_off("primary")
    assert lab.exec("primary", "hostname") == "primary\n"
    assert {node.name: node.pid for node in lab.nodes} == {node.name: node.pid for node in firsts}


def test_a_killed_up_leaves_nothing_that_hinders_the_next_or_survives_down(second: RunningLab) -> None:
    command = [str(ROOT / "bin" / "lab"), "--instance", second.instance, "up"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        seen = ""
        while "Nodes" not in seen:
            seen += first.stdout.read(1)
        first.kill()
    second.up()
    assert [entry["libvirt"] for entry in second.status()["nodes"]] == ["answers"] * 3
    prefix = f"mooring-{second.status()['subnet'].split('.')[2]}-"
    second.run("down", "--purge")
    assert not list(Path("/run/netns").glob(f"{prefix}*"))
    assert not list(Path("/sys/fs/cgroup").glob(f"{prefix}*")) + list(Path("/sys/fs/cgroup").glob(f"*/{prefix}*"))
    assert not (ROOT / "var" / "lab" / second.instance).exists()


def test_down_keeps_who_the_nodes_are_and_purge_makes_new_ones(second: RunningLab) -> None:
    second.up()
    before = {node.host_uuid: node.fingerprint for node in second.nodes}
    second.run("down")
    second.up()
    assert {node.host_uuid: node.fingerprint for node in second.nodes} == before
    second.run("down", "--purge")
    second.up()
    assert not {node.host_uuid for node in second.nodes} & before.keys()
