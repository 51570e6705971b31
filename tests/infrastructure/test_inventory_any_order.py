"""Whatever arrives in whatever order, each VE is on exactly one node, and the last full reads decide."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.models import VE, InventoryRevision, Node, Placement
from infrastructure.services import inventory
from tests.infrastructure.inventory_facts import make_node, node_facts, uuid_of, ve_facts

NODES = ("primary", "secondnode1", "secondnode2")
STATES = ("running", "paused", "stopped", "shutting-down", "crashed")
VES = ("vmtest", "vm2")

observations = st.lists(
    st.one_of(
        st.tuples(st.just("seen"), st.sampled_from(NODES), st.sampled_from(VES), st.sampled_from(STATES)),
        st.tuples(st.just("left"), st.sampled_from(NODES), st.sampled_from(VES), st.just("")),
        st.tuples(st.just("down"), st.sampled_from(NODES), st.just(""), st.just("")),
        st.tuples(st.just("listed"), st.sampled_from(NODES), st.sampled_from(VES), st.sampled_from(STATES)),
        st.tuples(st.just("migrating"), st.sampled_from(NODES), st.sampled_from(VES), st.just("")),
    ),
    max_size=12,
)


@pytest.fixture
def nodes(db: None) -> dict[str, Node]:
    return {name: make_node(name) for name in NODES}


def observe(nodes: dict[str, Node], what: str, where: str, name: str, state: str) -> None:
    node = nodes[where]
    if what == "seen":
        inventory.apply_ve(node, ve_facts(name, state))
    elif what == "left":
        inventory.apply_gone(node, uuid_of(name))
    elif what == "down":
        inventory.mark_unreachable(node, "no answer")
    elif what == "listed":
        inventory.apply_snapshot(node, node_facts(node), [ve_facts(name, state)])
    elif (ve := VE.objects.filter(name=name).first()) is not None:
        inventory.set_migrating(ve, node)


@given(observations, st.dictionaries(st.sampled_from(VES), st.sampled_from(NODES)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_each_ve_is_on_exactly_one_node(
    nodes: dict[str, Node], arriving: list[tuple[str, str, str, str]], truth: dict[str, str]
) -> None:
    for what, where, name, state in arriving:
        before = InventoryRevision.current()
        observe(nodes, what, where, name, state)
        assert InventoryRevision.current() - before <= 1
        for ve in VE.objects.prefetch_related("placements"):
            placed = {placement.node_id for placement in ve.placements.all()}
            assert ve.node_id is not None
            assert ve.node_id in placed or not placed
            assert (ve.state == "missing") == (not placed)
    VE.objects.update(migrating_to=None)
    for node in nodes.values():
        found = [ve_facts(name) for name, where in truth.items() if where == node.name]
        inventory.apply_snapshot(node, node_facts(node), found)
    for ve in VE.objects.all():
        assert ve.state == ("running" if ve.name in truth else "missing")
        assert ve.name not in truth or ve.node == nodes[truth[ve.name]]
    assert Placement.objects.count() == len(truth)
    Placement.objects.all().delete()
    VE.objects.all().delete()
