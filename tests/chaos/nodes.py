"""The lab's nodes as the faults break them, and the truth about their VEs in one look."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.machine import frozen, until
from tests.e2e.lab import NODES, Lab


class Nodes(Lab):
    """The lab; what it breaks can be mended by the same name."""

    def __init__(self, root: Path, instance: str) -> None:
        super().__init__(root, instance)
        self._folder = root / "var" / "lab" / instance

    def libvirtd(self, node: str) -> int:
        """The daemon's process as this machine numbers it."""
        inside = self.exec(node, "cat", "/run/libvirtd.pid").strip()
        found = self.processes(node, "libvirtd")
        assert inside in found, f"no process of this machine is libvirtd of {node} ({inside} there)"
        return found[inside]

    def processes(self, node: str, program: str) -> dict[str, int]:
        """The node's processes of a program: their ids there → as this machine numbers them."""
        namespace = self.exec(node, "readlink", "/proc/self/ns/pid").strip()
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                if status.parent.joinpath("comm").read_text() != f"{program}\n":
                    continue
                if str(status.parent.joinpath("ns/pid").readlink()) != namespace:
                    continue
                numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()
                found[numbers[-1]] = int(status.parent.name)
        return found

    def ceph(self, *words: str) -> Any:
        """What the cluster answers to a command of its administrator, read from JSON."""
        return json.loads(self.exec(NODES[0], "ceph", *words, "--format", "json"))

    def restart_libvirtd(self, node: str, number: int = signal.SIGKILL) -> None:
        """End the daemon by this signal and start it again; asked to end (TERM), it first lets a migration finish."""
        pid = self.libvirtd(node)
        os.kill(pid, number)
        until(lambda: not Path(f"/proc/{pid}").exists(), 90, f"libvirtd on {node} did not end")
        self.exec(node, "service", "libvirtd", "start")

    @contextlib.contextmanager
    def hung_libvirtd(self, node: str) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        with frozen(self.libvirtd(node)):
            yield

    @contextlib.contextmanager
    def cut_off(self, node: str) -> Iterator[None]:
        self.run("cut", node)
        try:
            yield
        finally:
            self.run("heal", node)
