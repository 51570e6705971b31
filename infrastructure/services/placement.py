"""Where a VE is, derived from what each node shows. Pure: no database, no engine."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from infrastructure.choices import VEState

# A guest that executes wins over one that waits: during a migration the target's is paused until the switch.
_RANK: dict[str, int] = {
    VEState.RUNNING: 4,
    VEState.STOPPING: 4,
    VEState.PAUSED: 3,
    VEState.CRASHED: 2,
    VEState.STOPPED: 1,
}
_EXECUTING = 4
_MOVING = 3  # states in which a migration is shown as such


@dataclass(frozen=True, slots=True)
class Sighting:
    """A VE as one node showed it last. ``reachable``: whether that node answers now."""

    node_id: int
    node_name: str
    state: str
    reason: str
    observed_at: datetime
    reachable: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one node a VE is on, and the state to show."""

    node_id: int | None
    state: str
    reason: str


def derive(sightings: Iterable[Sighting], *, current: int | None, migrating: bool, last_node: str = "") -> Verdict:
    """Choose one node out of any number of sightings; the same ones give the same verdict in any order.

    ``current`` is the node the VE was on until now: it stays there while nothing speaks for another. Without a sighting
    the VE is missing, and stays where it was seen last (``last_node`` by name).
    """
    found = list(sightings)
    if not found:
        reason = f"{last_node} no longer has it, and no other node shows it" if last_node else "No node shows it"
        return Verdict(current, VEState.MISSING, reason)
    best = max(found, key=lambda sighting: _weight(sighting, current))
    if migrating and _RANK.get(best.state, 0) >= _MOVING:
        return Verdict(best.node_id, VEState.MIGRATING, "")
    running = sorted(s.node_name for s in found if s.reachable and _RANK.get(s.state, 0) == _EXECUTING)
    if len(running) > 1:
        return Verdict(best.node_id, best.state, f"Runs on {' and '.join(running)}: stop one of them")
    return Verdict(best.node_id, best.state, best.reason)


def _weight(sighting: Sighting, current: int | None) -> tuple[int, bool, bool, datetime, int]:
    rank = _RANK.get(sighting.state, 0)
    # Two that execute: the switch of a migration, of which one side was heard first. The newer one is right.
    stays = sighting.node_id == current and rank != _EXECUTING
    return rank, sighting.reachable, stays, sighting.observed_at, -sighting.node_id
