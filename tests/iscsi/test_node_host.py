"""What is done on a node past tgtd: its addresses, and what prepares it."""

import json
from collections.abc import Collection

import pytest

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from infrastructure.drivers.facts import Completed
from iscsi.drivers import ceph_files
from iscsi.drivers.facts import AddressFacts, CephAccess
from iscsi.drivers.node_addresses import NodeAddresses
from iscsi.drivers.tgt_keeper import SCRIPT, TgtKeeper

ACCESS = CephAccess(("10.0.0.1:3300", "10.0.0.2:3300"), "mooring-iscsi", "c2VjcmV0")


def link(name: str, *addresses: tuple[str, int, str]) -> dict[str, object]:
    rows = [{"local": local, "prefixlen": prefix, "scope": scope} for local, prefix, scope in addresses]
    return {"ifname": name, "addr_info": rows}


class Host:
    """Answers by the beginning of a command; everything else succeeds without a word."""

    def __init__(self, **answers: tuple[int, str, str]) -> None:
        self.answers = {words.replace("_", " "): answer for words, answer in answers.items()}
        self.ran: list[str] = []
        self.files: dict[str, tuple[bytes, int]] = {}

    def run(self, argv: Collection[str], *, check: bool = True, **_: object) -> Completed:
        line = " ".join(argv)
        self.ran.append(line)
        code, out, err = next((found for words, found in self.answers.items() if line.startswith(words)), (0, "", ""))
        if check and code:
            raise DriverError(err, component="host")
        return Completed(out.encode(), err.encode(), code)

    def read_file(self, path: str, *, limit: int = 1 << 20) -> bytes:
        if path not in self.files:
            raise NotFound(path, component="host")
        return self.files[path][0]

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self.files[path] = (data, mode)


class Node(TgtKeeper, NodeAddresses):
    def __init__(self, host: Host) -> None:
        self._name = "primary"
        self._host = host  # type: ignore[assignment]


ADDRESSES = json.dumps(
    [
        link("lo", ("127.0.0.1", 8, "host"), ("::1", 128, "host")),
        link("br0", ("10.0.0.11", 24, "global"), ("fe80::1", 64, "link"), ("fd00::11", 64, "global")),
        {"ifname": "eth9"},
    ]
)


def node(**answers: tuple[int, str, str]) -> tuple[Node, Host]:
    # tgtadm finds nobody unless a test says otherwise
    host = Host(**{"ip_-j": (0, ADDRESSES, ""), "timeout_5_tgtadm": (107, "", "can't connect"), **answers})
    return Node(host), host


def test_addresses_are_those_that_others_reach() -> None:
    assert node()[0].addresses() == (AddressFacts("10.0.0.11", 24, "br0"), AddressFacts("fd00::11", 64, "br0"))


def test_an_address_is_added_after_nobody_answered_at_it_and_neighbours_are_told() -> None:
    made, host = node()
    assert made.add_address("10.0.0.50", 24, "br0") is True
    assert [line.split()[:2] for line in host.ran] == [
        ["ip", "-j"],
        ["arping", "-D"],
        ["ip", "address"],
        ["arping", "-A"],
    ]
    assert made.add_address("10.0.0.11", 24, "br0") is False


def test_an_address_that_another_machine_has_is_not_taken() -> None:
    made, host = node(**{"arping_-D": (1, "", "")})
    with pytest.raises(Conflict, match="Another machine answers"):
        made.add_address("10.0.0.50", 24, "br0")
    assert not any(line.startswith("ip address") for line in host.ran)
    with pytest.raises(Conflict, match="br0 of this node"):
        made.add_address("10.0.0.11", 24, "eth1")


def test_a_node_without_arping_gets_the_address_nevertheless() -> None:
    made, host = node(arping=(127, "", "not found"))
    assert made.add_address("10.0.0.50", 24, "br0") is True
    assert "ip address add 10.0.0.50/24 dev br0" in host.ran


def test_what_is_no_address_or_interface_never_reaches_the_node() -> None:
    made, host = node()
    for words in (("10.0.0.300", 24, "br0"), ("10.0.0.5", 33, "br0"), ("10.0.0.5", 24, "-x"), ("10.0.0.5", 24, "a b")):
        with pytest.raises(Refused):
            made.add_address(*words)
    assert host.ran == []


def test_a_node_is_prepared_once_and_only_root_reads_the_key() -> None:
    made, host = node()
    assert (made.prepare(ACCESS), made.prepare(ACCESS)) == (True, False)
    assert {path: mode for path, (_, mode) in host.files.items()} == {
        SCRIPT: 0o755,
        ceph_files.CONF: 0o644,
        ceph_files.KEYRING: 0o600,
    }
    told = host.files[ceph_files.CONF][0].decode()
    assert "mon_host = 10.0.0.1:3300,10.0.0.2:3300" in told and ACCESS.key not in told
    assert ceph_files.user_of(told.encode()) == "mooring-iscsi"
    assert not any(ACCESS.key in line for line in host.ran)
    assert made.prepare(CephAccess(ACCESS.monitors[:1], ACCESS.user, ACCESS.key)) is True


def test_debians_own_server_is_stopped_unless_it_serves_something() -> None:
    made, host = node(timeout_5_tgtadm=(0, "", ""))
    made.prepare(ACCESS)
    assert "systemctl disable --now tgt" in host.ran
    made, host = node(timeout_5_tgtadm=(0, "Target 1: iqn.2001.com.example:x\n", ""))
    with pytest.raises(Conflict, match="that Mooring did not make"):
        made.prepare(ACCESS)
    assert not host.files


def test_a_node_without_tgt_says_what_to_install() -> None:
    made, _ = node(test=(1, "", ""))
    with pytest.raises(NotFound, match="tgt or its RBD store"):
        made.prepare(ACCESS)


def test_a_node_that_is_not_prepared_keeps_no_servers() -> None:
    made, _ = node(sh=(2, "", "sh: 0: cannot open"))
    assert made.servers().servers == ()
    assert made.forget() is False
