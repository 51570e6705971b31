"""The lab's Ceph as an administrator sees it, and the panel's access to it."""

import json
from typing import Any

from storage.drivers.base import Access
from storage.drivers.ceph_access import CAPABILITIES, capability_words
from tests.e2e.lab import Lab

NODE = "primary"


def ceph(lab: Lab, *words: str) -> str:
    """`ceph` with the administrator's rights, on a node."""
    return lab.exec(NODE, "ceph", *words)


def told(lab: Lab, *words: str) -> Any:
    """The same, read from JSON."""
    return json.loads(ceph(lab, *words, "--format", "json"))


def rados(lab: Lab, *words: str) -> str:
    return lab.exec(NODE, "rados", *words)


def rbd(lab: Lab, *words: str) -> str:
    return lab.exec(NODE, "rbd", *words)


def access(lab: Lab, *, user: str = "mooring") -> Access:
    """Access as a user with exactly the panel's capabilities, which is made if need be."""
    entity = f"client.{user}"
    if user in {row["entity"].removeprefix("client.") for row in told(lab, "auth", "ls")["auth_dump"]}:
        ceph(lab, "auth", "caps", entity, *capability_words(CAPABILITIES))
    else:
        ceph(lab, "auth", "get-or-create", entity, *capability_words(CAPABILITIES))
    monitors = tuple(_address(row) for row in told(lab, "mon", "dump")["mons"])
    return Access("lab", told(lab, "fsid")["fsid"], monitors, user, ceph(lab, "auth", "print-key", entity).strip())


def _address(monitor: dict[str, Any]) -> str:
    return next(row["addr"] for row in monitor["public_addrs"]["addrvec"] if row["type"] == "v2")
