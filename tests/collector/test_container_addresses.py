"""Addresses of containers, from the files of their network namespaces."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from infrastructure.drivers.base import Refused
from infrastructure.drivers.facts import Completed, NicFacts, VEKind, VEState
from infrastructure.observe.addresses import is_useful
from infrastructure.observe.container_addresses import container_addresses, controllers
from infrastructure.observe.messages import Addresses
from tests.collector.engine import Clock, Engine, Observed
from tests.infrastructure.inventory_facts import uuid_of, ve_facts

# What grep printed on a node with two containers; the second has just ended.
CHILDREN = "/proc/186/task/186/children:190 \n"
NETWORK = """\
/proc/190/net/fib_trie:Main:
/proc/190/net/fib_trie:  +-- 0.0.0.0/1 2 0 2
/proc/190/net/fib_trie:        |-- 10.78.5.0
/proc/190/net/fib_trie:           /24 link UNICAST
/proc/190/net/fib_trie:           |-- 10.78.5.197
/proc/190/net/fib_trie:              /32 host LOCAL
/proc/190/net/fib_trie:           |-- 10.78.5.255
/proc/190/net/fib_trie:              /32 link BROADCAST
/proc/190/net/fib_trie:           |-- 127.0.0.0
/proc/190/net/fib_trie:              /8 host LOCAL
/proc/190/net/fib_trie:           |-- 127.0.0.1
/proc/190/net/fib_trie:              /32 host LOCAL
/proc/190/net/fib_trie:Local:
/proc/190/net/fib_trie:           |-- 10.78.5.197
/proc/190/net/fib_trie:              /32 host LOCAL
/proc/190/net/if_inet6:00000000000000000000000000000001 01 80 10 80       lo
/proc/190/net/if_inet6:fd00000000000000505400fffeb9c725 02 40 00 80     eth0
"""
CT = ve_facts("ct1", kind=VEKind.CT, nics=(NicFacts("52:54:00:b9:c7:25"),), domain_id=186)


class Node(Engine):
    """Answers the two commands."""

    def run(
        self, argv: Collection[str], *, input: bytes | None = None, deadline: float = 20.0, check: bool = True
    ) -> Completed:
        self._enter("run")
        paths = list(argv)[3:]
        text = CHILDREN if paths[0].endswith("children") else NETWORK
        return Completed(
            "".join(line for line in text.splitlines(True) if line.split(":")[0] in paths).encode(), b"", 0
        )


def test_two_commands_tell_the_addresses_of_all() -> None:
    node = Node(Clock(), "primary")
    found = container_addresses(node, {"a": 186, "b": 999})
    assert found == {"a": ("10.78.5.197", "127.0.0.1", "::1", "fd00::5054:ff:feb9:c725")}
    assert node.calls == ["run", "run"]
    assert container_addresses(node, {}) == {}
    assert container_addresses(node, {"b": 999}) == {}


def test_only_running_containers_with_a_network_of_their_own_are_asked() -> None:
    ves = [CT, replace(CT, uuid="off", state=VEState.STOPPED), replace(CT, uuid="shared", nics=()), ve_facts("vmtest")]
    assert controllers(ves) == {uuid_of("ct1"): 186}


@pytest.mark.parametrize("address", ["fe80::1", "127.0.0.1", "::1", "0.0.0.0", "169.254.3.4", "no address"])
def test_an_address_that_reaches_nobody_is_left_out(address: str) -> None:
    assert not is_useful(address)
    assert is_useful("10.78.5.197")


def test_a_node_that_refuses_commands_still_tells_its_vms() -> None:
    observed = Observed(CT, ve_facts("vmtest"))
    observed.engine.node = replace(observed.engine.node, capabilities=frozenset({"vm", "ct", "host-commands"}))
    observed.engine.found_addresses[uuid_of("vmtest")] = ("10.0.0.7",)
    observed.engine.fail("run", Refused("permission denied"), times=10)
    told = observed.pass_time(6)
    assert [message.uuid for message in told if isinstance(message, Addresses)] == [uuid_of("vmtest")]
