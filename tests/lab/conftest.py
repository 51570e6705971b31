"""The lab under test: up, with every node powered and every VE in its first state."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import instances
from tests.e2e.lab import Lab

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LabNode:
    """A node as an admin knows it: by name, where its SSH answers and with which host key (SHA256:…)."""

    name: str
    address: str
    ssh_port: int
    fingerprint: str
    host_uuid: str
    pid: int


class RunningLab(Lab):
    """The lab's commands. Each fails the test when the command fails, with what it printed."""

    def __init__(self, instance: str) -> None:
        super().__init__(ROOT, instance)
        self.instance = instance

    def up(self) -> None:
        self.run("up", timeout=300)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json"))
        return found

    @property
    def nodes(self) -> list[LabNode]:
        return [LabNode(**{key: node[key] for key in LabNode.__annotations__}) for node in self.status()["nodes"]]

    def node(self, name: str) -> LabNode:
        return next(node for node in self.nodes if node.name == name)

    def power_off(self, node: str) -> None:
        self.run("power-off", node)

    def power_on(self, node: str) -> None:
        self.run("power-on", node, timeout=180)

    def cut(self, node: str) -> None:
        self.run("cut", node)

    def heal(self, node: str) -> None:
        self.run("heal", node)

    def virsh(self, node: str, *words: str, kind: str = "qemu") -> str:
        return self.exec(node, "virsh", "-c", f"{kind}:///system", *words)

    def attempt(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """bin/lab with these words, however it ends."""
        return subprocess.run(
            [*self._command, *argv], input=stdin, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="session")
def lab() -> Iterator[RunningLab]:
    if os.geteuid() != 0:
        pytest.fail("the lab needs root: run the lab's tests as root, or leave them out with -m 'not lab'")
    running = RunningLab(instances.LAB)
    running.up()
    yield running
    running.up()  # whatever a test switched off is back for the next level


from tests.lab.iscsi_panel import iscsi_panel  # noqa: E402, F401
from tests.lab.known_cluster import cluster  # noqa: E402, F401
from tests.lab.onboarded import onboarded_lab, panel_lab  # noqa: E402, F401
from tests.lab.storage_panel import storage_panel  # noqa: E402, F401
