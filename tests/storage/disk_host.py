"""A node in memory on which disks of the fake cluster run, and the cluster with its rows."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from infrastructure.drivers import registry as nodes
from infrastructure.drivers.base import Completed
from infrastructure.drivers.errors import DriverError, NotFound
from infrastructure.drivers.fake import FakeCluster as FakeNodes
from infrastructure.services.endpoints import endpoint_for
from panel.accounts.models import User
from storage.drivers.facts import ClusterFacts, Groups
from storage.drivers.fake import FakeCluster
from storage.models import Cluster, Disk
from storage.services import observed
from tests.infrastructure.inventory_facts import make_node, node_facts
from tests.storage.fake_clusters import driven

OSD = "/var/lib/ceph/osd"


@dataclass
class DiskHost:
    """What the commands about disks meet on a node. `pids`: the processes of ceph-osd by the disk's number.

    `devices`: what the `block` link of a disk's folder ends at; `labels`: device → UUID of the disk it is labelled for.
    """

    engine: FakeCluster
    files: dict[str, bytes] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    block: list[dict[str, Any]] = field(default_factory=list)  # what lsblk shows; see `device`
    written: dict[str, str] = field(default_factory=dict)  # device → the signatures on it
    opened: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)  # programs
    fails: set[str] = field(default_factory=set)  # words of commands that end with an error
    starts: bool = True
    systemd: bool = False
    stubborn: bool = False
    ran: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)

    def serve(self, number: int) -> None:
        """The disk's folder is there, and its service runs."""
        self.files[f"{OSD}/ceph-{number}/fsid"] = f"{self.engine.disks[number].uuid}\n".encode()
        self.files[f"{OSD}/ceph-{number}/keyring"] = b"[osd]\n"
        self.pids[number] = 1000 + number

    def device(self, name: str, **facts: Any) -> str:
        """The node has a whole and empty device, unless the facts say otherwise; its path."""
        number = f"8:{16 * len(self.block)}"
        usual: dict[str, Any] = {"name": name, "path": f"/dev/{name}", "maj:min": number, "type": "disk"}
        usual |= {"size": 4 << 30, "ro": False, "rota": True, "model": None, "serial": None, "mountpoints": [None]}
        self.block.append(usual | facts)
        return f"/dev/{name}"

    def write_file(self, path: str, data: bytes, **options: Any) -> None:
        self.files[path] = data
        self.modes[path] = options.get("mode", 0o644)

    def read_file(self, path: str, **_: Any) -> bytes:
        if path not in self.files:
            raise NotFound(f"{path} is not there", component="host")
        return self.files[path]

    def run(self, argv: Collection[str], **options: Any) -> Completed:
        words = list(argv)
        self.ran.append(" ".join(words))
        code, text = self._answer(words)
        if code and options.get("check", True):
            raise DriverError(f"{words[0]} ended with {code}", component="host")
        return Completed(b"", text.encode(), code) if code else Completed(text.encode(), b"", 0)

    def _answer(self, argv: list[str]) -> tuple[int, str]:
        if argv[0] in self.missing or self.fails & set(argv):
            return 1, ""
        if argv[0] == "lsblk":
            return 0, json.dumps({"blockdevices": self.block})
        if argv[0] == "sh" and "wipefs" in argv[2]:
            return 0, "\n".join(self._written(row) for row in self.block if row["path"] in argv[4:])
        if argv[0] == "sh" and "by-id" in argv[2]:
            return 0, f"/dev/disk/by-id/{argv[-1].removeprefix('/dev/')}-stable\n"
        if argv[0] == "sh" and "/fd" in argv[2]:
            return 0, "\n".join(self.opened)
        if argv[0] == "ln":
            self.devices[argv[-1]] = argv[-2]
        elif "--mkfs" in argv:
            self.labels[self.devices[f"{OSD}/ceph-{argv[2]}/block"]] = argv[5]
        elif argv[0] == "env" or argv[:2] == ["systemctl", "enable"]:
            self._begin(int(argv[4] if argv[0] == "env" else argv[-1].removeprefix("ceph-osd@")))
        if argv[:2] == ["test", "-d"]:
            return (0 if self.systemd else 1), ""
        if argv[0] == "sh" and "/proc/" in argv[2]:
            lines = [f"{pid}\x1fceph-osd\x1f-f\x1f-i\x1f{number}\x1f" for number, pid in self.pids.items()]
            return 0, "\n".join(lines)
        if argv[0] == "sh":
            return (0, self.devices[argv[-1]]) if argv[-1] in self.devices else (1, "")
        if argv[0] == "ceph-bluestore-tool":
            device = argv[-1]
            if device not in self.labels:
                return 1, f"unable to read label for {device}: (2) No such file or directory"
            return 0, json.dumps({device: {"osd_uuid": self.labels[device]}})
        if argv[0] == "dd":
            self.labels.pop(argv[2].removeprefix("of="), None)
        elif argv[0] == "kill" and not (self.stubborn and argv[1] == "-TERM"):
            self._ended({int(pid) for pid in argv[2:]})
        elif argv[:2] == ["systemctl", "disable"] and not self.stubborn:
            self._ended({self.pids.get(int(argv[-1].removeprefix("ceph-osd@")), 0)})
        elif argv[0] == "rm":
            self.files = {path: data for path, data in self.files.items() if not path.startswith(f"{argv[-1]}/")}
        return (1 if argv[0] == "mountpoint" else 0), ""

    def _written(self, row: dict[str, Any]) -> str:
        major, minor = (int(number) for number in row["maj:min"].split(":"))
        return f"{row['path']} {major:x} {minor:x} {self.written.get(row['path'], '')}".rstrip()

    def _begin(self, number: int) -> None:
        self.pids[number] = 1000 + number
        if self.starts:
            self.engine.change(number, up=True, taken=True, size=4 << 30)

    def _ended(self, pids: set[int]) -> None:
        for number, pid in tuple(self.pids.items()):
            if pid in pids:
                del self.pids[number]
                if number in self.engine.disks:
                    self.engine.stop(number)


@dataclass(frozen=True)
class Storage:
    """The fake cluster, its row, and its hosts by name."""

    engine: FakeCluster
    row: Cluster
    hosts: dict[str, DiskHost]
    admin: User

    def disk(self, number: int) -> Disk:
        return Disk.objects.get(cluster=self.row, number=number)

    def look(self) -> None:
        """What the collector does every few seconds."""
        observed.record(self.row, self.engine.look())


@contextmanager
def storage_of(engine: FakeCluster, admin: User) -> Iterator[Storage]:
    """The cluster connected, its hosts nodes of the panel, a service running for each disk."""
    fake, hosts = FakeNodes(), {}
    with ExitStack() as stack:
        row = stack.enter_context(driven(engine)).row
        for name in {disk.host for disk in engine.disks.values()}:
            node = make_node(name)
            made = fake.add(endpoint_for(node), node_facts(name))
            hosts[name] = host = DiskHost(engine)
            host.files["/etc/ceph/ceph.conf"] = f"[global]\nfsid = {engine.fsid}\n".encode()
            made.run, made.read_file = host.run, host.read_file  # type: ignore[method-assign]
            made.write_file = host.write_file  # type: ignore[method-assign]
            stack.enter_context(nodes.replaced(name, made))
        for disk in engine.disks.values():
            hosts[disk.host].serve(disk.id)
        yield Storage(engine, row, hosts, admin)


CLEAN = Groups(total=8, states={"active+clean": 8}, objects=100, copies=300)


def moving(misplaced: int) -> Groups:
    """All chunks on their way, with so many copies left."""
    return replace(CLEAN, states={"active+remapped+backfilling": 8}, misplaced_copies=misplaced)


def script(storage: Storage, monkeypatch: pytest.MonkeyPatch, *looks: Groups | Callable[[], object]) -> None:
    """What the cluster does at each look after the class changed or the disk went out; the last stays."""
    engine, left = storage.engine, list(looks)
    look = engine.look

    def next_look() -> ClusterFacts:
        if {"set_device_class", "set_taken"} & set(engine.calls) and left:
            step = left.pop(0)
            step() if callable(step) else setattr(engine, "groups", step)
        return look()

    monkeypatch.setattr(engine, "look", next_look)
