"""What is done once in the name of Ceph's administrator, on a node that has its key: the panel's own users.

Everything else the panel does as its own user, with the least capabilities. Keys come back over SSH from a command's
output; they are in no argument. Every function may be repeated.
"""

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infrastructure.drivers.base import Completed, HostDriver
from infrastructure.models import Node
from storage.drivers.ceph_access import CAPABILITIES, capability_words
from storage.drivers.matching import FILESYSTEM, VOLUMES
from tasks.errors import JobFailed

CONF = "/etc/ceph/ceph.conf"
KEYRINGS = ("/etc/ceph/ceph.client.admin.keyring", "/etc/ceph/ceph.keyring", "/etc/ceph/keyring")
# Without monitors the command would wait five minutes.
CEPH = ("ceph", "--connect-timeout", "10")
DEADLINE = 20.0
Capabilities = Sequence[tuple[str, str]]
# As whom nodes open the disks of VMs: images of the panel's pools, and breaking the lock of a node that died.
NODE_CAPABILITIES: Capabilities = (("mon", "profile rbd"), ("osd", "allow rwx tag rbd mooring=*"))
# As whom nodes mount the directories of datastores for files: what lies in them, but neither their layouts nor others.
FILES_CAPABILITIES: Capabilities = (
    ("mon", "allow r"),
    ("mds", f"allow rw fsname={FILESYSTEM} path={VOLUMES}"),
    ("osd", f"allow rw tag cephfs data={FILESYSTEM}"),
)
# As whom the target servers of nodes open LUNs: images of the pools for LUNs and no others.
ISCSI_CAPABILITIES: Capabilities = (("mon", "profile rbd"), ("osd", "allow rwx tag rbd mooring=lun"))
PANEL_CAPABILITIES: Capabilities = CAPABILITIES
_NO_ENTITY = 2


@dataclass(frozen=True, slots=True)
class User:
    """A cephx user as the cluster has it; `key` is a secret."""

    name: str
    key: str = field(repr=False)
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Monitors:
    """The cluster's identity, and where its monitors listen: "10.0.0.11:3300"."""

    fsid: str
    addresses: tuple[str, ...]


def require_admin(host: HostDriver, node: Node) -> None:
    """JobFailed unless the node has Ceph's command, its configuration and the key of its administrator."""
    if not _readable(host, CONF):
        raise JobFailed(
            f"There is no Ceph on {node}: {CONF} is not there.",
            "Choose a node that runs a metadata service (MDS, Ceph's monitor), or any other that has Ceph's "
            "configuration and its administrator's key in /etc/ceph.",
        )
    if not any(_readable(host, path) for path in KEYRINGS):
        raise JobFailed(
            f"The key of Ceph's administrator is not on {node}: {KEYRINGS[0]} is not there.",
            "Copy it there from the node on which the cluster was set up, or choose that node; it is read once and "
            "may be removed afterwards.",
        )
    if _ask(host, ["ceph", "--version"]).code != 0:
        raise JobFailed(f"There is no ceph command on {node}.", "Install the package ceph-common there.")


def monitors(host: HostDriver, node: Node) -> Monitors:
    """Where the monitors listen now. JobFailed when none of them answers the node."""
    argv = monitors_command()
    found = _json(node, argv, _ask(host, argv))
    return Monitors(found["fsid"], tuple(_address(monitor) for monitor in found["mons"]))


def monitors_command() -> list[str]:
    return ["ceph", "mon", "dump", "-f", "json"]


def user(host: HostDriver, node: Node, name: str) -> User | None:
    """The user of that name; None when the cluster has none."""
    argv = ["ceph", "auth", "get", f"client.{name}", "-f", "json"]
    done = _ask(host, argv)
    if done.code == _NO_ENTITY:
        return None
    found = _json(node, argv, done)
    return User(name, found[0]["key"], dict(found[0]["caps"]))


def make_command(name: str, capabilities: Capabilities) -> list[str]:
    return ["ceph", "auth", "get-or-create", f"client.{name}", *capability_words(capabilities)]


def make_user(host: HostDriver, node: Node, name: str, capabilities: Capabilities) -> User:
    """Make the user; Ceph makes its key. The user that is there when it has these capabilities already."""
    argv = [*make_command(name, capabilities), "-f", "json"]
    found = _json(node, argv, _ask(host, argv))
    return User(name, found[0]["key"], dict(capabilities))


def allow_command(name: str, capabilities: Capabilities) -> list[str]:
    return ["ceph", "auth", "caps", f"client.{name}", *capability_words(capabilities)]


def allow(host: HostDriver, node: Node, name: str, capabilities: Capabilities) -> None:
    """Give the user these capabilities and no others."""
    argv = allow_command(name, capabilities)
    _require(node, argv, _ask(host, argv))


def remove_command(name: str) -> list[str]:
    return ["ceph", "auth", "rm", f"client.{name}"]


def remove_user(host: HostDriver, node: Node, name: str) -> None:
    """Take the user's key away; nothing happens when there is no such user."""
    argv = remove_command(name)
    _require(node, argv, _ask(host, argv))


def _readable(host: HostDriver, path: str) -> bool:
    return host.run(["test", "-r", path], check=False).code == 0


def _address(monitor: dict[str, Any]) -> str:
    """Of the addresses of a monitor that of the second protocol, which can encrypt; the first one's otherwise."""
    addresses = {each["type"]: each["addr"] for each in monitor["public_addrs"]["addrvec"]}
    address: str = addresses.get("v2") or addresses["v1"]
    ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    return address


def _ask(host: HostDriver, argv: Sequence[str]) -> Completed:
    return host.run([*CEPH, *argv[1:]], check=False, deadline=DEADLINE)


def _json(node: Node, argv: Sequence[str], done: Completed) -> Any:
    _require(node, argv, done)
    return json.loads(done.stdout)


def _require(node: Node, argv: Sequence[str], done: Completed) -> None:
    """Only what the command wrote as its error is told: its answer may hold a key."""
    if done.code == 0:
        return
    raise JobFailed(
        f"`{' '.join(argv[:3])}` failed on {node}: {done.complaint}",
        "Look at `ceph status` on the node; a majority of the monitors must run.",
    )
