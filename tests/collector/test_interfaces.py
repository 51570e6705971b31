"""The network interfaces of a node: what is read of the kernel's answer, and what becomes of it."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import Capability, Completed, DriverError, Unreachable
from infrastructure.drivers.facts import NetworkFacts
from infrastructure.models import InventoryRevision, Node, NodeInterfaces
from infrastructure.observe.interfaces import LIST, Wiring, rates, read
from infrastructure.observe.messages import Message, Wired
from infrastructure.services import inventory
from infrastructure.services.inventory_rows import Interfaces
from tests.infrastructure.inventory_facts import make_node, node_facts

BR0 = {
    "ifname": "br0",
    "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    "mtu": 1500,
    "operstate": "UP",
    "link_type": "ether",
    "address": "0e:00:00:00:00:01",
    "linkinfo": {"info_kind": "bridge"},
    "addr_info": [
        {"family": "inet", "local": "192.0.2.11", "prefixlen": 24, "scope": "global"},
        {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
    ],
    "stats64": {"rx": {"bytes": 1000}, "tx": {"bytes": 500}},
}
TAP = {
    "ifname": "vnet4",
    "flags": ["UP", "LOWER_UP"],
    "mtu": 1500,
    "operstate": "UNKNOWN",
    "link_type": "ether",
    "address": "fe:54:00:00:00:01",
    "master": "br0",
    "linkinfo": {"info_kind": "tun"},
    "addr_info": [],
}
LO = {"ifname": "lo", "link_type": "loopback", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]}


class Host:
    """Answers the two commands; `rows` is what the kernel has."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows: Any = list(rows)
        self.speeds = {"br0": "10000", "vnet4": "-1"}
        self.error: DriverError | None = None

    def capabilities(self) -> frozenset[str]:
        return frozenset({Capability.HOST_COMMANDS})

    def run(self, argv: Collection[str], **_: Any) -> Completed:
        if self.error is not None:
            raise self.error
        argv = list(argv)
        if tuple(argv) == LIST:
            text = self.rows if isinstance(self.rows, str) else json.dumps(self.rows)
            return Completed(text.encode(), b"", 0)
        assert argv[:3] == ["grep", "-sH", ""]
        names = [path.split("/")[4] for path in argv[3:]]
        return Completed("".join(f"/sys/class/net/{n}/speed:{self.speeds[n]}\n" for n in names).encode(), b"", 0)


def test_interfaces_are_read_with_bridge_speed_and_useful_addresses() -> None:
    (bridge, tap), traffic = read(Host(LO, BR0, TAP))  # type: ignore[arg-type]
    assert (bridge.name, bridge.kind, bridge.state, bridge.speed_mbit) == ("br0", "bridge", "up", 10000)
    assert bridge.addresses == ("192.0.2.11/24",)
    assert (tap.master, tap.state, tap.speed_mbit) == ("br0", "up", 0)
    assert traffic == {"br0": (1000, 500), "vnet4": (0, 0)}


def test_rates_come_from_two_looks_and_a_new_counter_tells_nothing() -> None:
    before = {"br0": (1000, 500), "eth0": (9000, 10), "old": (1, 1)}
    now = {"br0": (3000, 500), "eth0": (100, 20), "new": (5, 5)}
    assert rates(before, now, 10.0) == {"br0": [200, 0]}
    assert rates(before, now, 0.0) == {}


@pytest.fixture
def told() -> list[Message]:
    return []


def test_the_second_look_tells_the_traffic(told: list[Message]) -> None:
    now = [0.0]
    wiring, host = Wiring(1, told.append, lambda: now[0]), Host(BR0)
    wiring.ask(host)  # type: ignore[arg-type]
    host.rows = [BR0 | {"stats64": {"rx": {"bytes": 31000}, "tx": {"bytes": 500}}}]
    now[0] = 15.0
    wiring.ask(host)  # type: ignore[arg-type]
    first, second = told
    assert isinstance(first, Wired) and isinstance(second, Wired)
    assert (first.found.rates, second.found.rates) == ({}, {"br0": [2000, 0]})
    assert second.found.interfaces == first.found.interfaces


@pytest.mark.parametrize("answer", ["", "no json", '{"a": 1}', '[{"ifname": "x", "addr_info": 7}]'])
def test_an_answer_that_is_not_understood_tells_nothing(answer: str, told: list[Message]) -> None:
    host = Host()
    host.rows = answer
    Wiring(1, told.append, lambda: 0.0).ask(host)  # type: ignore[arg-type]
    assert told == []


@pytest.mark.parametrize("error", [Unreachable("gone"), DriverError("ip: not found")])
def test_a_node_that_does_not_tell_them_is_observed_all_the_same(error: DriverError, told: list[Message]) -> None:
    host = Host()
    host.error = error
    Wiring(1, told.append, lambda: 0.0).ask(host)  # type: ignore[arg-type]
    assert told == []


def write(node: Node, *names: str, rate: int = 0) -> None:
    found = [{"name": name, "kind": "", "master": ""} for name in names]
    with inventory.writing() as batch:
        row = batch.node(node.pk)
        assert row is not None
        batch.interfaces(row, Interfaces(found, {name: [rate, rate] for name in names}, timezone.now()))


@pytest.mark.django_db
def test_traffic_alone_takes_no_revision_but_a_new_interface_does() -> None:
    node = make_node("primary")
    write(node, "br0")
    rev = InventoryRevision.current()
    write(node, "br0", rate=7)
    assert InventoryRevision.current() == rev
    assert NodeInterfaces.objects.get(node=node).rates == {"br0": [7, 7]}
    write(node, "br0", "vnet4")
    assert InventoryRevision.current() == rev + 1
    assert Node.objects.get().rev == rev + 1


@pytest.mark.django_db
def test_an_older_look_changes_nothing() -> None:
    node = make_node("primary")
    old = Interfaces([], {}, timezone.now())
    write(node, "br0")
    with inventory.writing() as batch:
        row = batch.node(node.pk)
        assert row is not None
        batch.interfaces(row, old)
    assert [each["name"] for each in NodeInterfaces.objects.get(node=node).interfaces] == ["br0"]


@pytest.mark.django_db
def test_after_the_clock_was_set_back_a_new_look_counts() -> None:
    node = make_node("primary")
    write(node, "br0")
    NodeInterfaces.objects.filter(node=node).update(observed_at=timezone.now() + timedelta(hours=1))
    write(node, "br0", "vnet4")
    assert [each["name"] for each in NodeInterfaces.objects.get(node=node).interfaces] == ["br0", "vnet4"]


@pytest.mark.django_db
def test_a_network_is_kept_with_its_mode_and_ranges() -> None:
    node = make_node("primary")
    facts = node_facts(node)
    nat = NetworkFacts(
        "default", "virbr0", True, "", True, "nat", ("192.168.122.1/24",), ("192.168.122.2 – 192.168.122.254",)
    )
    inventory.apply_snapshot(node, replace(facts, networks=(nat,)), [])
    row = node.networks.get()
    assert (row.mode, row.autostart, row.addresses) == ("nat", True, ["192.168.122.1/24"])
    rev = InventoryRevision.current()
    inventory.apply_snapshot(node, replace(facts, networks=(nat,)), [])
    assert InventoryRevision.current() == rev
    inventory.apply_snapshot(node, replace(facts, networks=(replace(nat, active=False),)), [])
    assert not node.networks.get().active
    assert InventoryRevision.current() == rev + 1
