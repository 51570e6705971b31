"""What the tests ask of the lab's nodes directly, past the panel: the truth to compare pages with."""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

NODES = ("primary", "secondnode1", "secondnode2")
_STATES = {"running": "running", "shut off": "stopped", "paused": "paused"}


class Lab:
    """The lab's nodes by name, through bin/lab."""

    def __init__(self, root: Path, instance: str) -> None:
        self._command = [str(root / "bin" / "lab"), "--instance", instance]

    def run(self, *argv: str, timeout: float = 300) -> str:
        done = subprocess.run([*self._command, *argv], capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"lab {argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def exec(self, node: str, *argv: str, timeout: float = 300) -> str:
        return self.run("exec", node, *argv, timeout=timeout)

    def states(self, node: str) -> dict[str, str]:
        """Name → state of every VE that libvirt of the node knows, as `virsh list --all` says it."""
        found = {}
        for uri in ("qemu:///system", "lxc:///system"):
            for line in self.exec(node, "virsh", "-c", uri, "list", "--all").splitlines()[2:]:
                parts = line.split(maxsplit=2)
                if len(parts) == 3:
                    found[parts[1]] = _STATES.get(parts[2].strip(), parts[2].strip())
        return found

    def where(self, name: str) -> list[str]:
        """The nodes on which the VE is running or paused."""
        return [node for node in NODES if self.states(node).get(name) in ("running", "paused")]

    def agent(self, node: str, name: str, command: str, **arguments: Any) -> Any:
        request = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.exec(node, "virsh", "qemu-agent-command", name, request))["return"]

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
