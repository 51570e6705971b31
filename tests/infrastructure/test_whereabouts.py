"""What the answers of both nodes say about where a VE is; when in doubt, nothing is claimed."""

from infrastructure.drivers.base import VEState, VEStatus
from infrastructure.services.migration import Whereabouts

RUNS = VEStatus(VEState.RUNNING)
HELD = VEStatus(VEState.PAUSED)
DEFINED = VEStatus(VEState.STOPPED)
SILENT = "it does not answer"


def test_it_stayed_when_the_target_has_nothing_of_it() -> None:
    assert Whereabouts(RUNS, None).stayed
    assert Whereabouts(HELD, None).stayed
    assert Whereabouts(DEFINED, None).stayed


def test_of_a_silent_target_only_a_running_source_proves_that_it_stayed() -> None:
    assert Whereabouts(RUNS, None, target_silent=SILENT).stayed
    assert not Whereabouts(HELD, None, target_silent=SILENT).stayed
    assert not Whereabouts(DEFINED, None, target_silent=SILENT).stayed


def test_it_arrived_when_the_target_has_it_and_the_source_let_go() -> None:
    assert Whereabouts(None, RUNS).arrived
    assert Whereabouts(DEFINED, RUNS).arrived
    assert Whereabouts(None, DEFINED).arrived
    assert not Whereabouts(None, RUNS, source_silent=SILENT).arrived


def test_two_stopped_definitions_say_nothing() -> None:
    found = Whereabouts(DEFINED, DEFINED)

    assert not found.arrived
    assert not found.stayed
    assert not found.settled_on_target
