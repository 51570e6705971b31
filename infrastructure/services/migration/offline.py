"""Moving a VE that does not run meanwhile: stopped, copied where need be, defined on the target, started there.

The source keeps its definition, without autostart, until the VE is on the target for good: so it can always be taken
back, and it is never started on one node while the other may run it.
"""

import time
from collections.abc import Sequence

from infrastructure.drivers.base import DriverError, Outcome, VEKind, VEState
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.guest_stop import OnAgain, OnWait, past_libvirt, wait_until_stopped
from infrastructure.services.migration.disks import discard
from infrastructure.services.migration.plan import Plan
from infrastructure.services.migration.whereabouts import Whereabouts, locate
from infrastructure.services.preflight import DiskCopy
from tasks.errors import JobFailed

LOOK_EVERY = 0.25
STOP_SECONDS = 60.0  # how long the guest may take to shut down by itself
SETTLE_SECONDS = 15.0
ANSWER_SECONDS = 20.0  # how long a silent target is asked what it runs


def stop(plan: Plan, *, on_wait: OnWait, on_again: OnAgain) -> bool:
    """Ask the guest to shut down; whether it did within a minute. As `wait_until_stopped`. DriverError."""
    source = plan.source_driver
    outcome = source.shutdown(plan.uuid)
    if outcome is Outcome.ALREADY:
        return True
    if words := past_libvirt(outcome, plan.ve, plan.source):
        on_again(words)
    return wait_until_stopped(source, plan.uuid, STOP_SECONDS, on_wait=on_wait, on_again=on_again)


def force_off(plan: Plan) -> None:
    plan.source_driver.destroy(plan.uuid)


def define(plan: Plan) -> None:
    """Define the stopped VE on the target too; neither node starts it by itself from now on. DriverError."""
    plan.source_driver.set_autostart(plan.uuid, False)
    if plan.ve.is_vm:
        plan.source_driver.migrate_definition(plan.uuid, endpoint_for(plan.target))
    else:
        plan.target_driver.define(VEKind.CT, plan.source_driver.definition(plan.uuid))


def start(plan: Plan) -> None:
    """Start it on the target, once the source has said that it does not run it. JobFailed, DriverError."""
    found = locate(plan)
    if found.source is None or found.source.state is not VEState.STOPPED:
        raise JobFailed(f"It is not started on {plan.target}: {found.words(plan)}.", "Look at both nodes.")
    plan.target_driver.start(plan.uuid)


def let_go(plan: Plan) -> Whereabouts:
    """Have the source forget the VE; where it is then. A source that does not answer is told as silent. JobFailed."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        found = locate(plan)
        if found.target is None or (found.source is not None and found.source.state is not VEState.STOPPED):
            raise JobFailed(f"It is not on {plan.target} alone: {found.words(plan)}.", "Look at both nodes.")
        if not found.source_silent:
            plan.source_driver.undefine(plan.uuid)
            return locate(plan)
        if time.monotonic() > end:
            return found
        time.sleep(LOOK_EVERY)


def wait_for_answer(plan: Plan) -> Whereabouts:
    """Where it is, once the target answers. JobFailed when it does not: what it runs is then not known."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        found = locate(plan)
        if not found.target_silent:
            return found
        if time.monotonic() > end:
            raise JobFailed(
                f"{plan.target} was asked to start {plan.ve} and does not answer: whether it runs there is not known.",
                f"When {plan.target} answers, look there; start {plan.ve} on {plan.source} only if it does not run.",
            )
        time.sleep(LOOK_EVERY)


def take_back(plan: Plan, *, copies: Sequence[DiskCopy], restart: bool, may_run_there: bool) -> Whereabouts:
    """Put the VE back on its source as it was, unless the target runs it: then it is left there.

    JobFailed, DriverError. restart: it ran before. may_run_there: the target was asked to start it and never told what
    came of it.
    """
    found = locate(plan)
    if found.runs_on_target or (found.target is not None and found.source is None and not found.source_silent):
        return found
    if found.source is None:  # what the target has may then be all that is left of it
        raise JobFailed(f"{found.words(plan)}; nothing was removed.", "When both nodes answer, look at both.")
    problem = clear_target(plan, found, copies)
    if may_run_there and found.target_silent:
        raise JobFailed(problem, f"{plan.ve} was not started on {plan.source}: {plan.target} may run it.")
    left = locate(plan)
    if left.target is not None:  # a start that was slow to begin
        raise JobFailed(f"{left.words(plan)}; it was not started on {plan.source}.", "Look at both nodes.")
    plan.source_driver.set_autostart(plan.uuid, plan.autostart)
    if restart and plan.source_driver.state(plan.uuid).state is VEState.STOPPED:
        plan.source_driver.start(plan.uuid)
    if problem:
        raise JobFailed(f"{locate(plan).words(plan)}. {problem}", f"Remove it when {plan.target} answers.")
    return locate(plan)


def clear_target(plan: Plan, found: Whereabouts, copies: Sequence[DiskCopy]) -> str:
    """Remove the definition and the copies; why something was left, "" when nothing was."""
    try:
        if found.target is not None:
            plan.target_driver.undefine(plan.uuid)
        discard(plan, copies)
    except DriverError as error:
        left = ", ".join(["its definition", *(copy.path for copy in copies)])
        return f"On {plan.target} there may be left of this move: {left} ({error.message})."
    if found.target_silent:
        return f"On {plan.target} its definition may be left: {found.target_silent}"
    return ""
