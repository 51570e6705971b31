"""Statistics of nodes in their rows."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from infrastructure.choices import VEState
from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.services import inventory
from infrastructure.services.inventory_samples import NodeReading, VEReading, apply_samples
from tests.infrastructure.inventory_facts import make_node, node_facts, uuid_of, ve_facts

pytestmark = pytest.mark.django_db


@pytest.fixture
def primary(db: None) -> Node:
    node = make_node("primary")
    inventory.apply_snapshot(node, node_facts(node), [ve_facts("vmtest"), ve_facts("vm2", "stopped")])
    return node


def reading(node: Node, cpu: float = 10.0, memory: int = 100 << 20) -> NodeReading:
    ves = (
        VEReading(uuid_of("vmtest"), VEState.RUNNING, cpu, memory),
        VEReading(uuid_of("vm2"), VEState.STOPPED),
    )
    return NodeReading(node.pk, timezone.now(), 20.0, 4 << 30, ves)


def running(names: Iterable[str]) -> tuple[VEReading, ...]:
    return tuple(VEReading(uuid_of(name), VEState.RUNNING) for name in names)


def test_figures_are_written_under_one_revision(primary: Node) -> None:
    outcome = apply_samples([reading(primary)])
    assert outcome.rev == 2
    assert VE.objects.get(name="vmtest").cpu_percent == 10.0
    assert VE.objects.get(name="vmtest").memory_used == 100 << 20
    assert set(VE.objects.values_list("name", "rev", "figures_rev")) == {("vmtest", 1, 2), ("vm2", 1, 0)}
    primary.refresh_from_db()
    assert (primary.cpu_percent, primary.memory_free) == (20.0, 4 << 30)
    assert (primary.rev, primary.figures_rev) == (1, 2)
    assert outcome.ids[primary.pk] == {str(ve.uuid): ve.pk for ve in VE.objects.all()}


def test_an_unchanged_sample_costs_two_statements_and_no_revision(
    primary: Node, django_assert_num_queries: object
) -> None:
    apply_samples([reading(primary)])
    Node.objects.update(observed_at=timezone.now() - timedelta(hours=1))
    with django_assert_num_queries(2):  # type: ignore[operator]
        outcome = apply_samples([reading(primary, cpu=10.6, memory=101 << 20)])
    assert outcome.rev is None
    assert not outcome.wanted
    assert InventoryRevision.current() == 2
    primary.refresh_from_db()
    assert timezone.now() - primary.observed_at < timedelta(minutes=1)


def test_many_nodes_cost_no_more_statements(django_assert_num_queries: object) -> None:
    nodes = [make_node(f"n{number}") for number in range(20)]
    for node in nodes:
        inventory.apply_snapshot(node, node_facts(node), [ve_facts(f"{node}-vm{n}") for n in range(5)])
    at = timezone.now()
    readings = [
        NodeReading(node.pk, at.replace(microsecond=number), None, 4 << 30, running(f"{node}-vm{n}" for n in range(5)))
        for number, node in enumerate(nodes)
    ]
    with django_assert_num_queries(2):  # type: ignore[operator]
        assert apply_samples(readings).rev is None


def test_a_row_that_does_not_agree_with_the_sample_is_wanted(primary: Node) -> None:
    found = reading(primary)
    stranger = VEReading(uuid_of("stranger"), VEState.RUNNING)
    stopped = VEReading(uuid_of("vmtest"), VEState.STOPPED)
    outcome = apply_samples([replace(found, ves=(stranger, stopped))])
    assert outcome.wanted == {(primary.pk, uuid_of(name)) for name in ("stranger", "vmtest", "vm2")}
    assert VE.objects.get(name="vmtest").state == VEState.RUNNING


def test_a_node_that_is_not_shown_as_running_is_to_be_read_in_full(primary: Node) -> None:
    inventory.mark_unreachable(primary, "no answer")
    assert apply_samples([reading(primary)]).unknown == {primary.pk}
    assert apply_samples([replace(reading(primary), node_id=999)]).unknown == {999}


def test_a_waiting_copy_on_another_node_writes_no_figures(primary: Node) -> None:
    second = make_node("secondnode1")
    inventory.apply_snapshot(second, node_facts(second), [ve_facts("vmtest", "paused", reason="starting-up")])
    waiting = VEReading(uuid_of("vmtest"), VEState.PAUSED, 99.0, 1 << 20)
    apply_samples([NodeReading(second.pk, timezone.now(), 1.0, 4 << 30, (waiting,))])
    assert VE.objects.get(name="vmtest").cpu_percent is None
