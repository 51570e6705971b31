"""A new disk: starting the task that adds it, and making its service on its node, over SSH.

Source: Ceph's documentation of manual deployment. `block` links to the device by a name that stays; the keyring is
0600 from its first byte; the service starts with the node where systemd runs it.
"""

import base64
import os
import re
import struct
import time
from dataclasses import dataclass

from django.http import HttpRequest

from infrastructure.drivers.base import HostCommands, NotFound
from infrastructure.drivers.errors import TimedOut
from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.endpoints import driver as node_driver
from infrastructure.services.endpoints import require_set_up
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.onboarding.libvirt_settings import under_systemd
from panel.accounts.models import User
from storage.models import Cluster
from storage.services.candidates import Candidate, candidates
from storage.services.chunk_service import ChunkService, Tell
from storage.services.disks import PERMISSION
from storage.services.freshness import current_facts
from storage.services.policies import require_tier
from tasks.models import Task
from tasks.services import Target, enqueue

ADD = "storage.disk.add"
CONF = "/etc/ceph/ceph.conf"
_PATH = re.compile(r"/dev/[A-Za-z0-9_+.-]+(?:/[A-Za-z0-9_+.:-]+)*", re.ASCII)
_AS_CEPH = ("--setuser", "ceph", "--setgroup", "ceph")
MKFS_SECONDS = 180.0
OFFER_SECONDS = 6.0


def add(
    *, user: User | None, cluster: Cluster, node: Node, path: str, tier: int, request: HttpRequest | None = None
) -> Task:
    """Start making a device of a node a disk of a tier. Whether it is empty is asked by the worker.

    Raises PermissionDenied, InvalidInput, NotPossible, TaskConflict.
    """
    authorize(user=user, permission=PERMISSION, action=ADD, obj=cluster, request=request)
    require_tier(tier)
    if not _PATH.fullmatch(path) or ".." in path:
        raise InvalidInput(f"{path[:80]!r} is no device", advice="Choose one of the list.", field="path")
    require_set_up(node, field="node")
    current_facts(cluster)
    return enqueue(
        ADD,
        user=user,
        request=request,
        params={"cluster_id": cluster.pk, "node_id": node.pk, "path": path, "tier": tier},
        title_args={"node": node.name},
        targets=[Target("cluster", cluster.pk, cluster.name), Target("node", node.pk, node.name)],
        place=node.name,
        permission_object=cluster,
        facts={"Device": path, "Tier": tier},
    )


def offered(node: Node) -> list[Candidate]:
    """The devices of a node, asked now, for somebody who waits. Raises NotPossible, DriverError."""
    require_set_up(node, field="node")
    try:
        return candidates(node_driver(node), seconds=OFFER_SECONDS)
    except TimedOut:
        raise NotPossible(
            f"{node} did not name its devices within {OFFER_SECONDS:g} s",
            advice="It is busy, or a device of it hangs. Try again, or choose another node.",
        ) from None


def new_key() -> str:
    """A fresh cephx key: type AES, time made, length, 16 random bytes."""
    return base64.b64encode(struct.pack("<hiih", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def require_ceph(host: HostCommands, fsid: str) -> None:
    """NotPossible unless the node has Ceph's program for disks and the configuration of this cluster."""
    if host.run(["ceph-osd", "--version"], check=False).code != 0:
        raise NotPossible("There is no ceph-osd on this node", advice="Install the package ceph-osd there.")
    try:
        conf = host.read_file(CONF).decode(errors="replace")
    except NotFound:
        conf = ""
    if fsid not in conf:
        raise NotPossible(
            f"{CONF} on this node is not that of the cluster {fsid}",
            advice="Copy it there from a node that has disks of the cluster.",
        )


@dataclass(frozen=True, slots=True)
class NewDisk:
    """The service that is being made. `device`: a stable path. Raises DriverError."""

    service: ChunkService
    device: str

    @property
    def host(self) -> HostCommands:
        return self.service.host

    def prepare(self, key: str, tell: Tell) -> None:
        """The folder with the disk's UUID, its key and the link to the device; then the store on the device."""
        folder, number = self.service.folder, str(self.service.number)
        self._do(tell, ["install", "-d", "-m", "0750", "-o", "ceph", "-g", "ceph", folder])
        # First of all, so that what is there can be told from another disk's if this is cut off.
        self.host.write_file(f"{folder}/fsid", f"{self.service.uuid}\n".encode(), mode=0o600)
        keyring = f"[osd.{number}]\n\tkey = {key}\n"
        self.host.write_file(f"{folder}/keyring", keyring.encode(), mode=0o600)
        self._do(tell, ["ln", "-sfn", self.device, f"{folder}/block"])
        self._do(tell, ["chown", "-R", "ceph:ceph", folder])
        self._do(tell, ["chown", "ceph:ceph", self.device])
        mkfs = ["ceph-osd", "-i", number, "--mkfs", "--osd-uuid", self.service.uuid, *_AS_CEPH]
        tell(mkfs)
        self.host.run(mkfs, deadline=MKFS_SECONDS)

    def start(self, tell: Tell) -> None:
        number = str(self.service.number)
        if not under_systemd(self.host):
            # A daemon that gets the process id of an earlier one would be taken for it by the cluster.
            self._do(tell, ["env", "CEPH_USE_RANDOM_NONCE=1", "ceph-osd", "-i", number, *_AS_CEPH])
            return
        # The device belongs to root again after a restart of the node.
        self._do(tell, ["install", "-d", self.service.drop_in])
        text = f"[Service]\nExecStartPre=+/bin/chown ceph:ceph {self.device}\n"
        self.host.write_file(f"{self.service.drop_in}/mooring.conf", text.encode())
        self._do(tell, ["systemctl", "daemon-reload"])
        self._do(tell, ["systemctl", "enable", "--now", f"ceph-osd@{number}"])

    def _do(self, tell: Tell, argv: list[str]) -> None:
        tell(argv)
        self.host.run(argv, deadline=60.0)
