"""A node with Ceph's command and its administrator's key, in memory: the commands that connecting runs there."""

import json
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from infrastructure.drivers import registry
from infrastructure.drivers.base import Completed
from infrastructure.drivers.fake import FakeCluster as FakeNodes
from infrastructure.models import Node
from infrastructure.services.endpoints import endpoint_for
from storage.services.ceph_admin import CEPH, CONF, KEYRINGS
from tests.infrastructure.inventory_facts import make_node, node_facts
from tests.storage.samples import FSID

PANEL_KEY = "AQBpanelPanelPanelPanelPanelPanelPanelPan=="
FILES_KEY = "AQBfilesFilesFilesFilesFilesFilesFilesFi=="
ISCSI_KEY = "AQBiscsiIscsiIscsiIscsiIscsiIscsiIscsiIs=="
NODE_KEY = "AQBnodeNodeNodeNodeNodeNodeNodeNodeNodeNod=="
OTHER_KEY = "AQBotherOtherOtherOtherOtherOtherOtherOthe=="


class CephHost:
    """`ran`: the commands; `users`: entity → (key, capabilities); `answers` False: no monitor does."""

    def __init__(self, row: Node) -> None:
        self.row = row
        self.ran: list[str] = []
        self.files = {CONF, KEYRINGS[0]}
        self.users: dict[str, tuple[str, dict[str, str]]] = {}
        self.fsid = FSID
        self.monitors = ["10.0.0.11:3300", "10.0.0.12:3300", "[fd00::13]:3300"]
        self.answers = True
        self.has_command = True

    def run(self, argv: Collection[str], **_: Any) -> Completed:
        argv = list(argv)
        self.ran.append(" ".join(argv))
        if argv[:2] == ["test", "-r"]:
            return Completed(b"", b"", 0 if argv[2] in self.files else 1)
        assert tuple(argv[: len(CEPH)]) == CEPH, argv
        return self._ceph(argv[len(CEPH) :])

    def _ceph(self, words: list[str]) -> Completed:
        if not self.has_command:
            return Completed(b"", b"sh: ceph: not found", 127)
        if words == ["--version"]:
            return Completed(b"ceph version 16.2.15", b"", 0)
        if not self.answers:
            return Completed(b"", b"[errno 110] RADOS timed out (error connecting to the cluster)", 1)
        if words[:2] == ["mon", "dump"]:
            return self._json({"fsid": self.fsid, "mons": [self._monitor(address) for address in self.monitors]})
        verb, entity, rest = words[1], words[2], [word for word in words[3:] if word not in ("-f", "json")]
        capabilities = dict(zip(rest[::2], rest[1::2], strict=True))
        if verb == "get" and entity not in self.users:
            return Completed(b"", f"Error ENOENT: failed to find {entity} in keyring".encode(), 2)
        if verb == "get-or-create" and entity not in self.users:
            keys = {"client.mooring": PANEL_KEY, "client.mooring-files": FILES_KEY, "client.mooring-iscsi": ISCSI_KEY}
            self.users[entity] = (keys.get(entity, NODE_KEY), capabilities)
        if verb == "caps":
            self.users[entity] = (self.users[entity][0], capabilities)
        if verb == "rm":
            self.users.pop(entity, None)
            return Completed(b"", b"", 0)
        key, allowed = self.users[entity]
        if verb == "get-or-create" and allowed != capabilities:
            return Completed(b"", f"Error EINVAL: key for {entity} exists but cap osd does not match".encode(), 22)
        return self._json([{"entity": entity, "key": key, "caps": allowed}])

    @staticmethod
    def _monitor(address: str) -> dict[str, Any]:
        legacy = {"type": "v1", "addr": address.replace(":3300", ":6789"), "nonce": 0}
        return {"public_addrs": {"addrvec": [legacy, {"type": "v2", "addr": address, "nonce": 0}]}}

    @staticmethod
    def _json(answer: object) -> Completed:
        return Completed(json.dumps(answer).encode(), b"exported keyring", 0)


@pytest.fixture
def ceph_host(
    transactional_db: None, sent: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[CephHost]:
    """The node primary, set up, as such a machine."""
    row = make_node("primary")
    node = FakeNodes().add(endpoint_for(row), node_facts("primary"))
    made = CephHost(row)
    monkeypatch.setattr(node, "run", made.run)
    with registry.replaced("primary", node):
        yield made
