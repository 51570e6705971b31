"""Follows a live migration and acts on the policy's decisions. What it does, it says before."""

from collections.abc import Callable

from infrastructure.drivers.base import DriverError, MigrationProgress
from infrastructure.services.figures import sentence
from infrastructure.services.migration.convergence import Convergence
from infrastructure.services.migration.plan import Plan
from tasks.errors import JobFailed

OnLook = Callable[[MigrationProgress, int], None]
Tell = Callable[[str], None]


def steering(plan: Plan, *, pause_ms: int, on_look: OnLook, tell: Tell) -> Callable[[MigrationProgress], None]:
    """The callback for the driver: shows each look with the pause allowed now; JobFailed when the policy gives up."""
    options = plan.options
    policy = Convergence(
        plan.ve.name,
        pause_ms=pause_ms,
        limit_ms=options.longest_pause_ms,
        auto_converge=options.auto_converge,
        bandwidth_mib=options.bandwidth_mib,
    )

    def follow(seen: MigrationProgress) -> None:
        on_look(seen, policy.pause_ms)
        decision = policy.judge(seen)
        if decision is None:
            return
        if decision.act == "give-up":
            raise JobFailed(f"{decision.text} {plan.ve} stays on {plan.source}.", decision.advice)
        tell(decision.text)
        if decision.act == "raise":
            try:
                plan.source_driver.set_max_downtime(plan.uuid, decision.pause_ms)
            except DriverError as error:
                # Of itself no reason to abort: the migration may just have ended.
                tell(f"The pause was not changed: {sentence(error.message)}")

    return follow


def allowed_pause(plan: Plan) -> int:
    """The pause that a migration under way is allowed, milliseconds; the task's own where the engine cannot tell."""
    try:
        return plan.source_driver.max_downtime(plan.uuid)
    except DriverError:
        return plan.options.max_downtime_ms
