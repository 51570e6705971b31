"""What the tests ask of the lab's nodes directly, past the panel: the truth to compare pages with."""

import base64
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.instance import NODE_NAMES, load
from lab.node import Node

NODES = NODE_NAMES
AGENT_SECONDS = 120  # an emulated guest boots for as long on a busy machine
_LIST = "virsh -c qemu:///system list --all && virsh -c lxc:///system list --all"
_STATES = {"running": "running", "shut off": "stopped", "paused": "paused"}


class Lab:
    """The lab's nodes by name, through bin/lab."""

    def __init__(self, root: Path, instance: str) -> None:
        self._command = [str(root / "bin" / "lab"), "--instance", instance]
        self._name = instance

    def run(self, *argv: str, timeout: float = 300) -> str:
        return _said([*self._command, *argv], timeout)

    def exec(self, node: str, *argv: str, timeout: float = 300) -> str:
        """What `bin/lab exec` does, without a Python of its own for each call."""
        try:
            command = Node(load(self._name), node).command(argv)
        except LabError as error:
            raise AssertionError(str(error)) from error
        return _said(command, timeout)

    def states(self, node: str) -> dict[str, str]:
        """Name → state of every VE that libvirt of the node knows, as `virsh list --all` says it."""
        rows = [line.split(maxsplit=2) for line in self.exec(node, "sh", "-c", _LIST).splitlines()]
        found = [row for row in rows if len(row) == 3 and row[0] != "Id"]
        return {name: _STATES.get(state.strip(), state.strip()) for _, name, state in found}

    def everywhere(self) -> dict[str, dict[str, str]]:
        """Node → its states, all nodes asked at once."""
        with ThreadPoolExecutor(len(NODES)) as pool:
            return dict(zip(NODES, pool.map(self.states, NODES), strict=True))

    def where(self, name: str) -> list[str]:
        """The nodes on which the VE is running or paused."""
        return [node for node, states in self.everywhere().items() if states.get(name) in ("running", "paused")]

    def agent(self, node: str, name: str, command: str, **arguments: Any) -> Any:
        """What the guest's agent answers. Its channel is opened anew after a boot or a move: that is waited for."""
        request = json.dumps({"execute": command, "arguments": arguments})
        end = time.monotonic() + AGENT_SECONDS
        while True:
            try:
                return json.loads(self.exec(node, "virsh", "qemu-agent-command", name, request))["return"]
            except AssertionError as error:
                if "agent is not connected" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(0.5)

    def in_guest(self, node: str, name: str, script: str, timeout: float = 60) -> str:
        """Run a shell line in the guest by its agent and return what it printed."""
        started = self.agent(node, name, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self.agent(node, name, "guest-exec-status", pid=started["pid"])
            if status["exited"]:
                return base64.b64decode(status.get("out-data", "")).decode()
            time.sleep(0.2)
        raise AssertionError(f"{script!r} did not end in {name} within {timeout} s")


def _said(command: list[str], timeout: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
