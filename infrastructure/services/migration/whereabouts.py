"""Where the engines say a VE is. During a migration both nodes have it, and the target's waits."""

from dataclasses import dataclass

from infrastructure.drivers.base import (
    HostDriver,
    MigrationProgress,
    NotFound,
    Unreachable,
    VEState,
    VEStatus,
    within,
)
from infrastructure.services.figures import sentence
from infrastructure.services.migration.plan import Plan

QUESTION_SECONDS = 2.5
# What libvirt shows on the target while the memory is still coming, and on both sides at the switch.
_WAITING_REASONS = ("migration", "starting-up", "post-copy")
_DOWN = (VEState.STOPPED, VEState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What each node showed (None: it does not have the VE), and the job that was active on the source.

    source_silent, target_silent: why that node could not be asked, "" when it answered.
    """

    source: VEStatus | None
    target: VEStatus | None
    job: MigrationProgress | None = None
    source_silent: str = ""
    target_silent: str = ""

    @property
    def moving(self) -> bool:
        """libvirt moves it at this moment."""
        return self.job is not None

    @property
    def arrived(self) -> bool:
        """The target has it for good, and the source, which answers, no longer runs it.

        Two stopped definitions say nothing about where it belongs.
        """
        return (
            not self.moving
            and not self.source_silent
            and self.target is not None
            and not _waits(self.target)
            and not _up(self.source)
            and (self.source is None or _up(self.target))
        )

    @property
    def runs_on_target(self) -> bool:
        """The target executes it, which libvirt lets happen only after the source gave it up; even a silent source."""
        return self.target is not None and self.target.state is VEState.RUNNING and not _up(self.source)

    @property
    def settled_on_target(self) -> bool:
        """It arrived, and the source has forgotten it: on exactly one node."""
        return self.arrived and self.source is None

    @property
    def stayed(self) -> bool:
        """The source has it, no job moves it, and the target has nothing of it.

        Of a target that cannot be asked only a running source proves that: a paused one may be what a move left behind
        whose other half runs there.
        """
        if self.source is None or self.moving or self.target is not None:
            return False
        return not self.target_silent or self.source.state is VEState.RUNNING

    @property
    def leftover(self) -> bool:
        """The source executes it, no job moves it, and the target has kept no more than a definition."""
        return (
            not self.moving
            and self.source is not None
            and self.source.state is VEState.RUNNING
            and self.target is not None
            and self.target.state is VEState.STOPPED
        )

    def words(self, plan: Plan) -> str:
        """Such as "vmtest runs on primary"; for messages, so every combination is told."""
        shown = [
            f"{_verb(status)} on {node}"
            for status, node in ((self.source, plan.source), (self.target, plan.target))
            if status is not None
        ]
        silent = [
            f"{node} does not answer"
            for reason, node in ((self.source_silent, plan.source), (self.target_silent, plan.target))
            if reason
        ]
        if not shown and not silent:
            return f"neither {plan.source} nor {plan.target} has {plan.ve}"
        return "; ".join([*([f"{plan.ve} {' and '.join(shown)}"] if shown else []), *silent])


def locate(plan: Plan) -> Whereabouts:
    """Ask both nodes now; one that does not answer within a few seconds is told as silent. DriverError otherwise."""
    with within(QUESTION_SECONDS):
        job, source_silent = None, ""
        try:
            job = plan.source_driver.progress(plan.uuid)
        except Unreachable as error:
            source_silent = sentence(error.message)
        target, target_silent = _status(plan.target_driver, plan.uuid)
        # The source again, last: what left it between the questions is then already on the target.
        source = None
        if not source_silent:
            source, source_silent = _status(plan.source_driver, plan.uuid)
    return Whereabouts(source, target, job, source_silent, target_silent)


def _status(driver: HostDriver, uuid: str) -> tuple[VEStatus | None, str]:
    try:
        return driver.state(uuid), ""
    except NotFound:
        return None, ""
    except Unreachable as error:
        return None, sentence(error.message)


def _waits(status: VEStatus) -> bool:
    return status.state is VEState.PAUSED and status.reason in _WAITING_REASONS


def _up(status: VEStatus | None) -> bool:
    return status is not None and status.state not in _DOWN


def _verb(status: VEStatus) -> str:
    return {VEState.RUNNING: "runs", VEState.PAUSED: "is paused", VEState.STOPPED: "is stopped"}.get(
        status.state, f"is {status.state}"
    )
