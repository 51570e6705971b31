"""The service of one disk on its node: which node that is, and stopping and forgetting the service there, over SSH.

Source of the layout: Ceph's manual deployment. /var/lib/ceph/osd/ceph-N holds the disk's keyring, its UUID in `fsid`
and `block`, which is the device, a link to it, or a file.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from infrastructure.drivers.base import DriverError, HostCommands, NotFound, Unreachable
from infrastructure.models import Node
from infrastructure.services.errors import NotPossible
from infrastructure.services.onboarding.libvirt_settings import under_systemd
from infrastructure.services.preflight import Check
from storage.drivers.facts import DiskFacts
from tasks.errors import JobFailed

STOP_SECONDS, KILL_SECONDS = 30.0, 10.0
_LINKS = ("block", "block.db", "block.wal")
# One line a process: its id, then its arguments with unit separators between them.
_PROCESSES = (
    'for d in /proc/[0-9]*; do [ "$(cat "$d/comm" 2>/dev/null)" = ceph-osd ] || continue; '
    "printf '%s\\037' \"${d#/proc/}\"; tr '\\0\\n' '\\037 ' <\"$d/cmdline\"; echo; done"
)
_NO_LABEL = "(2) No such file or directory"  # so ceph-bluestore-tool says it of any device without one
# A link that ends at a device; a file or a folder is none.
_DEVICE = '[ -L "$1" ] && d=$(readlink -e -- "$1") && [ -b "$d" ] && printf %s "$d"'

Tell = Callable[[Sequence[str]], None]


def matching(host: str, nodes: Iterable[Node]) -> list[Node]:
    """Those of the nodes that CRUSH knows by this name: by theirs, else by their hostname."""
    wanted = host.lower()
    if not wanted:
        return []
    known = list(nodes)
    return [node for node in known if node.name.lower() == wanted] or [
        node for node in known if node.hostname.lower() == wanted
    ]


def node_of(host: str) -> Node:
    """The panel's node that CRUSH knows by this name. NotPossible when there is none, or more than one."""
    found = matching(host, Node.objects.filter(onboarded_at__isnull=False))
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(node.name for node in found)
        raise NotPossible(f"{names} both have the hostname {host}", advice="Rename one of them, then try again.")
    raise NotPossible(
        f"No node of Mooring is called {host}" if host else "The disk lies on no host of the CRUSH map",
        advice="Add that node under Infrastructure first, so that the disk's service can be stopped there.",
    )


def node_check(disk: DiskFacts) -> Check:
    """Whether the panel can reach what runs the disk. A failed disk can be removed without its node."""
    try:
        node = node_of(disk.host)
    except NotPossible as refusal:
        state = "failed" if disk.up else "warning"
        fix = refusal.advice if disk.up else "What lies there of the disk stays."
        return Check("node", "Node", state, refusal.message, fix)  # type: ignore[arg-type]
    return Check("node", "Node", "passed", f"Its service is on {node.name}")


@dataclass(frozen=True, slots=True)
class ChunkService:
    """The service of the disk with this number and UUID on a node. Every call may be repeated; raises DriverError."""

    host: HostCommands
    number: int
    uuid: str

    @property
    def folder(self) -> str:
        return f"/var/lib/ceph/osd/ceph-{self.number}"

    @property
    def drop_in(self) -> str:
        """Where the panel keeps what it adds to the service's unit."""
        return f"/etc/systemd/system/ceph-osd@{self.number}.service.d"

    def is_ours(self) -> bool:
        """Whether the node's folder is of this very disk: the number may be another's by now."""
        try:
            found = self.host.read_file(f"{self.folder}/fsid", limit=100).decode(errors="replace").strip()
        except NotFound:
            return False
        return found == self.uuid

    def processes(self) -> list[int]:
        """Ids of the processes that serve this number, judged by their arguments alone."""
        answer = self.host.run(["sh", "-c", _PROCESSES], check=False).stdout.decode(errors="replace")
        lines = (line.split("\x1f") for line in answer.splitlines())
        return [int(words[0]) for words in lines if words[0].isdigit() and _serves(words[1:], self.number)]

    def stop(self, tell: Tell) -> bool:
        """Stop it and keep it from starting again; False when it did not run. JobFailed when it does not end."""
        running = self.processes()
        if under_systemd(self.host):
            self._do(tell, ["systemctl", "disable", "--now", f"ceph-osd@{self.number}"])
            if self._gone(KILL_SECONDS):
                return bool(running)
            raise JobFailed(
                f"The service of CS{self.number} runs on: something other than ceph-osd@{self.number} keeps it.",
                "Stop it on the node with what started it, such as cephadm, then retry the task.",
            )
        for signal, seconds in (("TERM", STOP_SECONDS), ("KILL", KILL_SECONDS)):
            if not (alive := self.processes()):
                return bool(running)
            self._do(tell, ["kill", f"-{signal}", *map(str, alive)], check=False)
            if self._gone(seconds):
                return bool(running)
        raise JobFailed(f"The service of CS{self.number} does not end.", "Look at its process on the node.")

    def remove(self, tell: Tell, *, was_empty: bool = False) -> list[str]:
        """Remove the folder and the labels on the devices it links to; what was left on purpose, in words.

        was_empty: the device held nothing before this disk, so that a store without a label is this disk's, too.
        """
        if not self.is_ours():
            return []
        left = [words for link in _LINKS if (words := self._unlabel(link, tell, was_empty=was_empty))]
        if under_systemd(self.host):
            self._do(tell, ["rm", "-rf", "--", self.drop_in])
            self._do(tell, ["systemctl", "daemon-reload"])
        if self.host.run(["mountpoint", "-q", self.folder], check=False).code == 0:
            self._do(tell, ["umount", self.folder])
        self._do(tell, ["rm", "-rf", "--one-file-system", "--", self.folder])
        return left

    def _unlabel(self, link: str, tell: Tell, *, was_empty: bool) -> str:
        found = self.host.run(["sh", "-c", _DEVICE, "sh", f"{self.folder}/{link}"], check=False)
        device = found.stdout.decode().strip() if found.code == 0 else ""
        if not device:
            return ""
        label = self.host.run(["ceph-bluestore-tool", "show-label", "--dev", device], check=False)
        if label.code != 0 and not was_empty:
            if _NO_LABEL in label.complaint:
                return ""  # nothing that could be taken for a disk of the cluster
            return f"Whether {device} still carries its label cannot be read ({label.complaint}): wipe or destroy it"
        if label.code == 0 and label_uuid(label.stdout) != self.uuid:
            return f"{device} carries the label of another disk and was left alone"
        try:
            self._do(tell, ["dd", "if=/dev/zero", f"of={device}", "bs=1M", "count=1", "conv=fsync,notrunc"])
        except Unreachable:
            raise
        except DriverError as error:  # a disk that fails is removed all the same
            return f"{device} cannot be wiped and still carries its label: {error}"
        if device.startswith(("/dev/dm-", "/dev/mapper/")):
            return f"The logical volume {device} stays: remove it with ceph-volume lvm zap --destroy if nobody needs it"
        return ""

    def _gone(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > end:
                return False
            time.sleep(0.3)
        return True

    def _do(self, tell: Tell, argv: Sequence[str], *, check: bool = True) -> None:
        tell(argv)
        self.host.run(argv, check=check, deadline=60.0)


def label_uuid(answer: bytes) -> str:
    """The disk's UUID in what `ceph-bluestore-tool show-label` prints; "" without one."""
    try:
        labels = json.loads(answer)
        return str(next(iter(labels.values()))["osd_uuid"])
    except (ValueError, AttributeError, StopIteration, KeyError, TypeError):
        return ""


def _serves(argv: Sequence[str], number: int) -> bool:
    """Whether these are the arguments of `ceph-osd -i N`, in any of the ways Ceph takes them."""
    wanted = str(number)
    pairs = set(pairwise(argv))
    if any((flag, wanted) in pairs for flag in ("-i", "--id")):
        return True
    if any((flag, f"osd.{wanted}") in pairs for flag in ("-n", "--name")):
        return True
    return any(word in (f"--id={wanted}", f"-i{wanted}", f"--name=osd.{wanted}") for word in argv)
