"""The placement rule: any sightings, in any order, leave a VE on exactly one node."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.choices import VEState
from infrastructure.services.placement import Sighting, derive

START = datetime(2026, 1, 1, tzinfo=UTC)
SHOWN = [VEState.RUNNING, VEState.STOPPED, VEState.PAUSED, VEState.STOPPING, VEState.CRASHED, VEState.UNKNOWN]


def sighting(node_id: int, state: str, second: int = 0, *, reachable: bool = True) -> Sighting:
    return Sighting(node_id, f"n{node_id}", state, "", START + timedelta(seconds=second), reachable)


@st.composite
def sightings(draw: st.DrawFn) -> list[Sighting]:
    nodes = draw(st.lists(st.integers(1, 4), unique=True, max_size=4))
    return [
        sighting(node, draw(st.sampled_from(SHOWN)), draw(st.integers(0, 3)), reachable=draw(st.booleans()))
        for node in nodes
    ]


@given(sightings(), st.none() | st.integers(1, 4), st.booleans())
def test_any_order_gives_the_same_single_node(found: list[Sighting], current: int | None, migrating: bool) -> None:
    verdicts = {derive(order, current=current, migrating=migrating) for order in permutations(found)}
    assert len(verdicts) == 1
    (verdict,) = verdicts
    assert verdict.node_id in ({s.node_id for s in found} or {current})


@given(sightings(), st.none() | st.integers(1, 4))
def test_a_node_that_executes_it_is_never_passed_over(found: list[Sighting], current: int | None) -> None:
    executing = {s.node_id for s in found if s.state in (VEState.RUNNING, VEState.STOPPING)}
    verdict = derive(found, current=current, migrating=False)
    assert not executing or verdict.node_id in executing


def test_the_source_keeps_it_until_the_target_executes() -> None:
    source, waiting = sighting(1, VEState.RUNNING), sighting(2, VEState.PAUSED, 5)
    assert derive([source, waiting], current=1, migrating=False).node_id == 1
    switching = [sighting(1, VEState.PAUSED, 6), waiting]
    assert derive(switching, current=1, migrating=False).node_id == 1
    switched = [sighting(1, VEState.PAUSED, 6), sighting(2, VEState.RUNNING, 7)]
    assert derive(switched, current=1, migrating=False).node_id == 2


def test_a_switch_heard_from_the_target_first_is_believed() -> None:
    both = [sighting(1, VEState.RUNNING, 0), sighting(2, VEState.RUNNING, 7)]
    assert derive(both, current=1, migrating=True).node_id == 2


def test_a_node_without_contact_gives_way_to_one_that_answers() -> None:
    lost = sighting(1, VEState.RUNNING, 9, reachable=False)
    assert derive([lost, sighting(2, VEState.RUNNING)], current=1, migrating=False).node_id == 2
    assert derive([lost, sighting(2, VEState.PAUSED)], current=1, migrating=False).node_id == 1
    assert derive([lost], current=1, migrating=False).state == VEState.RUNNING


def test_a_ve_that_runs_twice_says_so() -> None:
    verdict = derive([sighting(1, VEState.RUNNING), sighting(2, VEState.RUNNING)], current=1, migrating=False)
    assert verdict.reason == "Runs on n1 and n2: stop one of them"


def test_a_ve_that_no_node_shows_is_missing_where_it_was() -> None:
    verdict = derive([], current=3, migrating=True, last_node="primary")
    assert (verdict.node_id, verdict.state) == (3, VEState.MISSING)
    assert "primary no longer has it" in verdict.reason


def test_only_a_ve_that_executes_or_waits_is_shown_as_migrating() -> None:
    assert derive([sighting(1, VEState.RUNNING)], current=1, migrating=True).state == VEState.MIGRATING
    assert derive([sighting(1, VEState.STOPPED)], current=1, migrating=True).state == VEState.STOPPED
