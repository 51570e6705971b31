"""The list that the Migrate dialog opens with: from the database alone."""

from typing import Any

import pytest

from infrastructure.choices import Kind, NodeState
from infrastructure.models import VE, Node, NodeNetwork
from infrastructure.services.preflight import overview
from tests.infrastructure.inventory_facts import make_node

pytestmark = pytest.mark.django_db
GIB = 1 << 30


def make_target(name: str, **columns: Any) -> Node:
    defaults = {
        "state": NodeState.ONLINE,
        "cpu_percent": 22.0,
        "cpu_threads": 8,
        "memory_bytes": 100 * GIB,
        "memory_free": 56 * GIB,
    }
    node = make_node(name, **defaults | columns)
    NodeNetwork.objects.create(node=node, name="lan")
    return node


@pytest.fixture
def vmtest() -> VE:
    return VE.objects.create(
        uuid="00000000-0000-0000-0000-000000000007",
        name="vmtest",
        kind=Kind.VM,
        node=make_target("primary"),
        state="running",
        vcpus=2,
        cpu_percent=16.0,
        memory_bytes=6 * GIB,
        nics=[{"network": "lan"}],
    )


def test_it_tells_load_before_and_after(vmtest: VE) -> None:
    make_target("secondnode1")
    (summary,) = overview(vmtest)
    assert (summary.node.name, summary.state, summary.reason) == ("secondnode1", "ready", "")
    assert (summary.cpu_before, summary.cpu_after) == (22.0, 26.0)
    assert (summary.memory_before, summary.memory_after) == (44.0, 50.0)


def test_a_paused_one_has_nowhere_to_go(vmtest: VE) -> None:
    make_target("secondnode1")
    vmtest.state = "paused"
    (summary,) = overview(vmtest)
    assert (summary.state, summary.reason) == ("blocked", "It is paused; resume it first")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"maintenance": True}, "Node is in maintenance"),
        ({"state": NodeState.UNREACHABLE, "state_reason": "No route"}, "No route"),
        ({"state": NodeState.NEW}, "Not set up"),
        ({"memory_free": GIB}, "1.0 of 6.0 GiB free: not enough memory"),
    ],
)
def test_it_says_why_a_node_is_blocked(vmtest: VE, columns: dict[str, Any], reason: str) -> None:
    make_target("secondnode1", **columns)
    (summary,) = overview(vmtest)
    assert (summary.state, summary.reason, summary.memory_after) == ("blocked", reason, None)


def test_a_missing_network_blocks(vmtest: VE) -> None:
    NodeNetwork.objects.filter(node=make_target("secondnode1")).update(active=False)
    assert overview(vmtest)[0].reason == "No network lan"


def test_snapshots_block_everywhere_and_containers_only_live(vmtest: VE) -> None:
    make_target("secondnode1")
    vmtest.snapshots = 1
    assert "snapshots" in overview(vmtest)[0].reason
    vmtest.snapshots = 0
    vmtest.kind = Kind.CT
    assert overview(vmtest, live=True)[0].reason == "A container moves offline only"
    assert overview(vmtest)[0].state == "ready"


def test_a_stopped_ve_needs_no_memory_of_its_target(vmtest: VE) -> None:
    make_target("secondnode1", memory_free=1)
    assert overview(vmtest)[0].state == "blocked"
    vmtest.state = "stopped"
    assert overview(vmtest)[0].state != "blocked"


def test_the_node_with_most_room_is_first_and_the_blocked_are_last(vmtest: VE) -> None:
    make_target("blocked", maintenance=True, memory_free=99 * GIB)
    make_target("full", memory_free=8 * GIB)
    make_target("busy", memory_free=30 * GIB)
    make_target("empty", memory_free=90 * GIB)
    found = overview(vmtest)
    assert [summary.node.name for summary in found] == ["empty", "busy", "full", "blocked"]
    assert [summary.state for summary in found] == ["ready", "ready", "warning", "blocked"]


def test_it_asks_the_database_twice_however_many_nodes(vmtest: VE, django_assert_num_queries: Any) -> None:
    for number in range(12):
        make_target(f"node{number}")
    with django_assert_num_queries(2):
        assert len(overview(vmtest)) == 12
