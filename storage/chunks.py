"""The states of chunks, which are Ceph's placement groups, in the panel's words: pure functions."""

from dataclasses import dataclass

from storage.drivers.facts import Groups

_MISSING_COPIES = frozenset({"degraded", "undersized"})
_MOVING = frozenset({"recovering", "backfilling"})
_NO_DISK = frozenset({"down", "stale"})
_TOO_FEW = frozenset({"peered", "incomplete"})


@dataclass(frozen=True, slots=True)
class Chunks:
    """How many chunks are in which state. Degraded, urgent, blocked and offline exclude each other: the worst counts.

    healthy: complete and where they belong. degraded: some copies are missing. urgent: still served, and one more loss
    would lose data. blocked: reads and writes wait, for too few copies are there. offline: no disk with them runs.
    replicating: being copied right now, whatever else they are. settling: new, or between two states for a moment.
    """

    total: int = 0
    healthy: int = 0
    degraded: int = 0
    urgent: int = 0
    blocked: int = 0
    offline: int = 0
    replicating: int = 0
    settling: int = 0

    @property
    def not_served(self) -> int:
        return self.blocked + self.offline


def count(groups: Groups) -> Chunks:
    """Chunks by state, from Ceph's states such as "active+undersized+degraded"."""
    found = dict.fromkeys(("healthy", "degraded", "blocked", "offline", "settling", "complete"), 0)
    replicating = 0
    for state, number in groups.states.items():
        words = frozenset(state.split("+"))
        found[_kind(words)] += number
        replicating += number if words & _MOVING else 0
    urgent = min(groups.urgent, found["degraded"])  # the two figures are of different moments
    return Chunks(
        total=groups.total,
        healthy=found["healthy"],
        degraded=found["degraded"] - urgent,
        urgent=urgent,
        blocked=found["blocked"],
        offline=found["offline"],
        replicating=replicating,
        settling=found["settling"],
    )


def _kind(words: frozenset[str]) -> str:
    if words & _NO_DISK:
        return "offline"
    if words & _TOO_FEW:
        return "blocked"
    if "active" not in words:  # creating, peering, activating, unknown
        return "settling"
    if words & _MISSING_COPIES:
        return "degraded"
    return "healthy" if "clean" in words else "complete"
