"""Following data that moves between disks: how much is left, how fast it goes, and when it has arrived.

The figures come from one look after the other. What a manager tells lags behind the map of disks by a few seconds, so
that nothing seems to move just after a change.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from panel.ui.format import count, duration
from storage.drivers.facts import ClusterFacts
from storage.overview import SelfHeal, self_heal
from storage.services.disk_checks import HOLDING_FLAGS
from tasks.runner import Step

LOOK_EVERY = 1.0  # seconds
# A change that moves nothing is believed after this: managers hear of chunks every 5 s (mgr_stats_period), twice.
SETTLE_SECONDS = 12.0
# Something is wrong when for this long no copy fewer is left: a chunk moves within seconds, a huge one in minutes.
STALL_SECONDS = 600.0
_MOVING = frozenset({"peering", "activating", "backfilling", "backfill_wait", "recovering", "recovery_wait"})
_STUCK = frozenset({"down", "incomplete"})  # "down+peering" waits for a disk that is away, not for this move
_MIB = 1 << 20
SILENT_SECONDS = 30.0  # a look that took longer waited for a cluster that did not answer


@dataclass(slots=True)
class Movement:
    """One move, from look to look. `degraded_before`: copies that were missing before it, which are not its own."""

    degraded_before: int = 0
    began: int = 0  # the most copies that were seen to be left
    seen: bool = False
    quiet: int = 0  # looks in a row at which nothing moved
    since: float = field(default_factory=time.monotonic)
    left: int = 0
    moved_at: float | None = None  # when fewer copies were left than at the look before
    warned: bool = False

    def show(self, facts: ClusterFacts) -> SelfHeal:
        """Take one look in; what is left."""
        own = max(0, facts.groups.degraded_copies - self.degraded_before)
        heal = self_heal(replace(facts, groups=replace(facts.groups, degraded_copies=own)), self.began)
        left = own + facts.groups.misplaced_copies
        if self.moved_at is None or left < self.left:
            self.moved_at = time.monotonic()
        self.left = left
        moving = left > 0 or _moving(facts)
        self.began = max(self.began, left)
        self.seen = self.seen or moving
        self.quiet = 0 if moving or not facts.manager_answers else self.quiet + 1
        return heal

    @property
    def over(self) -> bool:
        """Whether all has arrived: two quiet looks in a row, once something moved or long enough after the change."""
        return self.quiet >= 2 and (self.seen or time.monotonic() - self.since >= SETTLE_SECONDS)

    @property
    def stalled(self) -> bool:
        """Whether no copy fewer is left for so long that somebody should look; true once."""
        if self.warned or self.moved_at is None or time.monotonic() - self.moved_at < STALL_SECONDS:
            return False
        self.warned = True
        return True

    def pause(self, seconds: float) -> None:
        """Time in which nothing could be seen says nothing of the move."""
        if self.moved_at is not None:
            self.moved_at += seconds


def follow(
    step: Step, look: Callable[[], ClusterFacts], movement: Movement, arrived: Callable[[ClusterFacts], bool]
) -> None:
    """Show the move in the step until it arrived. Raises JobCancelled, and what `look` raises.

    One that stands still is followed on, since it may end yet; the task's warning says why and what helps.
    """
    while True:
        begun = time.monotonic()
        facts = look()
        if (waited := time.monotonic() - begun) > SILENT_SECONDS:
            movement.pause(waited)
        heal = movement.show(facts)
        _tell(step, facts, heal, movement)
        if arrived(facts):
            step.progress(100, "All data has arrived")
            return
        if movement.stalled:
            step.run.warn(stalled_words(facts, movement))
        time.sleep(max(0.0, LOOK_EVERY - (time.monotonic() - begun)))


def left_words(facts: ClusterFacts, heal: SelfHeal, movement: Movement) -> str:
    """ "1,234 copies left, about 3 min"; or what holds them up."""
    if not facts.manager_answers:
        return "No manager answers; the data moves on by itself"
    if heal.at_rest:
        return "Ceph works out what has to move" if not movement.seen else "Checking that all has arrived"
    left = max(0, facts.groups.degraded_copies - movement.degraded_before) + facts.groups.misplaced_copies
    words = f"{count(left, 'copy', 'copies')} left"
    if holding := [flag for flag in HOLDING_FLAGS if flag in facts.flags]:
        return f"{words}, held up: somebody set {', '.join(holding)}"
    if any("backfill_toofull" in state.split("+") for state in facts.groups.states):
        return f"{words}, held up: a disk is too full to take more"
    return f"{words}, about {duration(heal.seconds)}" if heal.seconds is not None else words


def stalled_words(facts: ClusterFacts, movement: Movement) -> str:
    """What has not moved, what may hold it up, and what to do about each."""
    left = f"{count(movement.left, 'copy', 'copies')} left" if movement.left else "not all has arrived"
    causes = " ".join(_causes(facts)) or "Ceph says more with `ceph health detail` and `ceph pg dump_stuck`."
    return f"Nothing has moved for {duration(STALL_SECONDS)}, and {left}. {causes} The task goes on waiting."


def _causes(facts: ClusterFacts) -> Iterator[str]:
    states = [set(state.split("+")) for state, number in facts.groups.states.items() if number]
    if not facts.manager_answers:
        yield "No manager answers, so the figures are old: start one, Services says where they run."
    for flag in HOLDING_FLAGS:
        if flag in facts.flags:
            yield f"Somebody set {flag}: allow it with `ceph osd unset {flag}`."
    if any("backfill_toofull" in words or "recovery_toofull" in words for words in states):
        yield "A disk is too full to take more: add disks to its tier, or delete data that nobody needs."
    if any(words & _STUCK for words in states):
        yield "Chunks wait for disks that are offline: bring them back, the Overview says which."
    if any("undersized" in words for words in states):
        yield "Chunks find no other place: their rule needs a disk in one more host, rack or row."


def _tell(step: Step, facts: ClusterFacts, heal: SelfHeal, movement: Movement) -> None:
    percent = heal.percent if movement.began else None
    figures = {"rate_mib": heal.speed / _MIB, "remaining_mib": heal.left / _MIB} if facts.manager_answers else {}
    step.progress(percent, left_words(facts, heal, movement), **figures)


def _moving(facts: ClusterFacts) -> bool:
    states = (set(state.split("+")) for state, number in facts.groups.states.items() if number)
    return any(words & _MOVING and not words & _STUCK for words in states)
