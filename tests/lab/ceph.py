"""The lab's Ceph as an administrator sees it, and the panel's access to it."""

import json
from typing import Any

from storage.drivers.base import Access
from storage.drivers.ceph_access import CAPABILITIES, capability_words
from tests.e2e.lab import Lab

NODE = "primary"
USER = "mooring-test"
# Each `ceph` takes half a second of a processor: one shell for the three. One with other capabilities gets these.
_MAKE_USER = """
ceph auth get-or-create "$@" >/dev/null 2>&1 || ceph auth caps "$@" 2>/dev/null
ceph auth print-key "$1" && echo && ceph mon dump --format json 2>/dev/null
"""


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


def access(lab: Lab) -> Access:
    """Access as a user of the tests with exactly the panel's capabilities, which is made if need be."""
    answer = lab.exec(NODE, "sh", "-c", _MAKE_USER, "sh", f"client.{USER}", *capability_words(CAPABILITIES))
    key, _, dump = answer.partition("\n")
    monitors = json.loads(dump)
    return Access("lab", monitors["fsid"], tuple(_address(row) for row in monitors["mons"]), USER, key)


def _address(monitor: dict[str, Any]) -> str:
    return next(row["addr"] for row in monitor["public_addrs"]["addrvec"] if row["type"] == "v2")
