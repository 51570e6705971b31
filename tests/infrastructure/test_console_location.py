"""The console finds the display where the VE runs now, also in the middle of a migration."""

import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import (
    Conflict,
    ConsoleEndpoint,
    DriverError,
    Endpoint,
    NotFound,
    Unreachable,
    VEState,
    VEStatus,
)
from infrastructure.drivers.registry import replaced
from infrastructure.models import VE, Node, Placement
from infrastructure.services import console


class Hypervisor:
    """A node's answers about one VE."""

    def __init__(self, state: VEState | None = None, error: DriverError | None = None) -> None:
        self._state, self._error = state, error

    def console(self, uuid: str) -> ConsoleEndpoint:
        if self._error is not None:
            raise self._error
        return ConsoleEndpoint("vnc", socket="/run/vnc.sock")

    def state(self, uuid: str) -> VEStatus:
        assert self._state is not None
        return VEStatus(self._state)


def locate(nodes: dict[str, Hypervisor]) -> console.Location:
    with ExitStack() as stack:
        for name, hypervisor in nodes.items():
            fake: Any = hypervisor
            stack.enter_context(replaced(name, fake))
        return console.locate("vmtest", "u", [Endpoint(name=name, address=name) for name in nodes])


STOPPED = Conflict("vmtest is not running")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"a": Hypervisor(VEState.RUNNING)}, "a"),
        ({"a": Hypervisor(VEState.PAUSED)}, "a"),
        ({"a": Hypervisor(VEState.RUNNING), "b": Hypervisor(VEState.PAUSED)}, "a"),
        ({"a": Hypervisor(VEState.PAUSED), "b": Hypervisor(VEState.RUNNING)}, "b"),
        ({"a": Hypervisor(error=STOPPED), "b": Hypervisor(VEState.RUNNING)}, "b"),
        ({"a": Hypervisor(error=NotFound("gone")), "b": Hypervisor(VEState.PAUSED)}, "b"),
        ({"a": Hypervisor(error=Unreachable("dead")), "b": Hypervisor(VEState.RUNNING)}, "b"),
    ],
)
def test_the_node_that_runs_it_wins(nodes: dict[str, Hypervisor], expected: str) -> None:
    assert locate(nodes).node == expected


def test_the_likeliest_node_says_why_there_is_none() -> None:
    with pytest.raises(Unreachable):
        locate({"a": Hypervisor(error=Unreachable("dead")), "b": Hypervisor(error=NotFound("gone"))})


def test_a_ve_that_no_node_shows_is_not_found() -> None:
    with pytest.raises(NotFound):
        locate({})


@pytest.mark.django_db
def test_both_nodes_of_a_migration_are_asked_the_running_one_first() -> None:
    source, target, old = (Node.objects.create(name=name, address=name) for name in ("source", "target", "old"))
    ve = VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=source, state="migrating")
    for node, state in ((old, "stopped"), (target, "paused"), (source, "running")):
        Placement.objects.create(ve=ve, node=node, state=state, observed_at=timezone.now())

    assert [endpoint.name for endpoint in console.candidates(ve)] == ["source", "target", "old"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("192.0.2.11", "192.0.2.11")],
)
def test_a_display_on_the_network_is_reached_from_the_node_itself(host: str, expected: str) -> None:
    assert console.address_of(ConsoleEndpoint("vnc", host=host, port=5900)) == (expected, 5900)


def test_only_a_display_on_the_network_is_warned_about() -> None:
    assert console.exposure(ConsoleEndpoint("vnc", host="0.0.0.0", port=5900))
    assert not console.exposure(ConsoleEndpoint("vnc", socket="/run/vnc.sock"))
    assert not console.exposure(ConsoleEndpoint("vnc", host="127.0.0.1", port=5900))
