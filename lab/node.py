"""A node: boots, loses power, runs commands. All of it hangs on one process, the init of its PID namespace."""

import base64
import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cgroups, network, rootfs
from lab.errors import LabError
from lab.instance import NODE_NAMES, PROJECT, Instance
from lab.processes import Process, only_child, wait_until
from lab.shell import run

_INIT = PROJECT / "lab" / "files" / "node-init.sh"
# Joins cgroups (each argument up to "--" is a cgroup.procs file), then becomes the rest of the command line.
_JOIN = ("sh", "-c", 'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@"', "join")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@dataclass(frozen=True)
class Node:
    """One node of an instance. Everything about it is derived; what changes is kept by the instance."""

    instance: Instance
    name: str

    @property
    def address(self) -> str:
        return self.instance.address(network.FIRST_NODE + NODE_NAMES.index(self.name))

    @property
    def directory(self) -> Path:
        return self.instance.directory / "nodes" / self.name

    @property
    def root(self) -> Path:
        """The node's root file system as it is on disk; see also inside()."""
        return self.directory / "root"

    @property
    def namespace(self) -> str:
        return network.node_namespace(self.instance, self.name)

    @property
    def init(self) -> Process | None:
        """The node's process 1, or None without power."""
        known = self.instance.processes.get(self.name)
        return known if known and known.alive() else None

    @property
    def powered(self) -> bool:
        return self.init is not None

    def inside(self, path: str) -> Path:
        """Where the host finds a path of the running node, its tmpfs mounts included. Raises LabError without power."""
        return Path(f"/proc/{self._running().pid}/root", path.lstrip("/"))

    def host_key_fingerprint(self) -> str:
        """The SSH host key's fingerprint as ssh prints it: "SHA256:" and base64 without padding."""
        key = (self.root / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text().split()[1]
        digest = hashlib.sha256(base64.b64decode(key)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def build(self) -> None:
        """Makes the node's root file system if it has none."""
        self.directory.mkdir(parents=True, exist_ok=True)
        rootfs.build(self.root, instance=self.instance, name=self.name)

    def boot(self, *, kvm: bool) -> None:
        """Gives it power and waits until its services were started. What a killed run left of it is removed first."""
        self.power_off()
        network.ensure_port(self.instance, self.name, address=self.address)
        cgroups.create(self.namespace)
        with (self.instance.logs / f"{self.name}.log").open("ab") as log:
            launcher = subprocess.Popen(
                self._launch_command(kvm=kvm),
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: self._adopt(launcher), 60, f"{self.name} did not start: see {log.name}", every=0.02)
        wait_until(
            lambda: not self.powered or self.inside("/run/node-booted").exists(),
            120,
            f"{self.name} did not boot: see {log.name}",
        )
        if not self.powered:
            raise LabError(f"{self.name} ended while booting: see {log.name}")

    def _launch_command(self, *, kvm: bool) -> list[str]:
        controllers = "" if cgroups.is_version_2() else " ".join(cgroups.hierarchies())
        init = ("/bin/bash", _INIT, self.root, self.name, self.instance.shared, controllers, "yes" if kvm else "no")
        unshare = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", *init)
        steps = (
            *(*_JOIN, *cgroups.root_files(self.namespace), "--"),
            *("nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--cgroup"),
            *(*_JOIN, *cgroups.leaf_files(self.namespace), "--", *unshare),
        )
        return [str(word) for word in steps]

    def _adopt(self, launcher: subprocess.Popen[bytes]) -> bool:
        if launcher.poll() is not None:
            raise LabError(f"{self.name} ended at once: see {self.instance.logs / self.name}.log")
        child = only_child(launcher.pid)
        if child is None:
            return False
        self.instance.record(self.name, child)
        return True

    def power_off(self) -> None:
        """Takes its power: kills process 1, with which the kernel ends all others, and removes what is left."""
        if init := self.init:
            init.kill()
        self.instance.record(self.name, None)
        network.delete_namespace(self.namespace)
        cgroups.remove(self.namespace)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The host's command line that runs `argv` as root inside the node. Raises LabError without power."""
        return [
            *(*_JOIN, *(str(file) for file in cgroups.leaf_files(self.namespace)), "--"),
            *("nsenter", f"--target={self._running().pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"),
            *("env", "-i", *(f"{key}={value}" for key, value in _ENVIRONMENT.items())),
            *(f"TERM={os.environ.get('TERM', 'linux')}", *argv),
        ]

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs a program inside the node and returns its output. Raises LabError when it fails."""
        return run(self.command(argv), stdin=stdin, timeout=timeout)

    def _running(self) -> Process:
        if init := self.init:
            return init
        raise LabError(f"{self.name} has no power: run bin/lab --instance {self.instance.name} power-on {self.name}")


def nodes(instance: Instance) -> list[Node]:
    """The three nodes, in the order of their addresses."""
    return [Node(instance, name) for name in NODE_NAMES]
