"""Several labs side by side, and what is left of one that was killed or has gone."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import instances
from tests.lab.conftest import ROOT, RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def second() -> Iterator[RunningLab]:
    """Another lab, whose first `up` was killed while the nodes booted and whose next one went through."""
    other = RunningLab(f"{instances.LAB[:10]}-2nd")
    other.run("down", "--purge")
    command = [str(ROOT / "bin" / "lab"), "--instance", other.instance, "up"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        seen = ""
        while "Nodes" not in seen:
            seen += first.stdout.read(1)
        first.kill()
    other.up()
    yield other
    other.run("down", "--purge")


def test_up_completes_what_a_killed_one_began(second: RunningLab) -> None:
    assert [entry["libvirt"] for entry in second.status()["nodes"]] == ["answers"] * 3
    assert sum(len(entry["ves"]) for entry in second.status()["nodes"]) == 9


def test_a_second_lab_is_independent_of_the_first(lab: RunningLab, second: RunningLab) -> None:
    firsts, seconds = lab.nodes, second.nodes
    for field in ("address", "host_uuid", "fingerprint", "pid"):
        assert not {getattr(node, field) for node in firsts} & {getattr(node, field) for node in seconds}
    second.power_off("primary")
    assert lab.exec("primary", "hostname") == "primary\n"
    assert {node.name: node.pid for node in lab.nodes} == {node.name: node.pid for node in firsts}


def test_down_ends_everything_and_keeps_who_the_nodes_are(second: RunningLab) -> None:
    before = [(node["host_uuid"], node["fingerprint"]) for node in second.status()["nodes"]]
    prefix = f"mooring-{second.status()['subnet'].split('.')[2]}-"
    second.run("down")
    assert not list(Path("/run/netns").glob(f"{prefix}*"))
    assert not [*Path("/sys/fs/cgroup").glob(f"{prefix}*"), *Path("/sys/fs/cgroup").glob(f"*/{prefix}*")]
    after = second.status()["nodes"]
    assert {node["power"] for node in after} == {"off"}
    assert [(node["host_uuid"], node["fingerprint"]) for node in after] == before


def test_purge_forgets_the_nodes(second: RunningLab) -> None:
    second.run("down", "--purge")
    assert second.status()["nodes"] == []
    assert not (ROOT / "var" / "lab" / second.instance).exists()
