"""What the jobs of iSCSI share."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from infrastructure.drivers.base import Conflict, Unreachable
from infrastructure.models import Node
from infrastructure.services.figures import sentence
from iscsi.differences import Action
from iscsi.models import Lun, Target
from iscsi.services import reconcile as telling
from iscsi.services.images import Images
from storage.jobs.patience import patient
from storage.services.access import driver
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.runner import Step, TaskRun

T = TypeVar("T")
# Who died with an image open lets go of it within half a minute.
BUSY_SECONDS, PAUSE_SECONDS = 45.0, 1.0


def find_target(target_id: int) -> Target:
    """The row; JobFailed when it was deleted meanwhile."""
    target = Target.objects.select_related("node").filter(pk=target_id).first()
    if target is None:
        raise JobFailed("The target is not in Mooring any more.", "Create it again if it is still wanted.")
    return target


def find_lun(lun_id: int) -> Lun:
    """The row; JobFailed when it was deleted meanwhile."""
    lun = Lun.objects.select_related("target__node", "datastore__cluster").filter(pk=lun_id).first()
    if lun is None:
        raise JobFailed("The LUN is not in Mooring any more.", "Add it again if it is still wanted.")
    return lun


def find_node(node_id: int) -> Node:
    """The row; JobFailed when it was removed meanwhile."""
    node = Node.objects.filter(pk=node_id, onboarded_at__isnull=False).first()
    if node is None:
        raise JobFailed("The node was removed.", "Choose another one.")
    return node


def shared_target(params: Mapping[str, Any]) -> list[str]:
    """The lock that tasks about LUNs share: what is done to a target as a whole holds it alone."""
    return [f"target:{params['target_id']}"] if params.get("target_id") else []


def shared_node(params: Mapping[str, Any]) -> list[str]:
    """The node that a target is put on: what is done to it as a whole must wait."""
    return [f"node:{node}" for node in Target.objects.filter(pk=params["target_id"]).values_list("node", flat=True)]


def resume(run: TaskRun, **_params: Any) -> Recovery:
    """Every step asks first, so the job may simply run again."""
    return Recovery.resume()


def images_of(run: TaskRun) -> Images:
    """The images of LUNs, on a cluster that is waited for while it does not answer."""
    return Images(lambda cluster: patient(run, driver(cluster)))


def show(told: Step | TaskRun, action: Action) -> None:
    """Write an action into the log, with the commands that do it by hand."""
    told.line(action.words)
    for argv in action.commands:
        told.command(argv)


def tell_server(run: TaskRun, target: Target, title: str = "") -> telling.Outcome:
    """A step that brings the target's server to what is wanted now. Raises DriverError when it cannot be brought there.

    LUNs that cannot be shown do not make it fail: the outcome, the rows and a warning say which, and why.
    """
    with run.step(title or f"Telling the server of {target} on {target.node}") as step:
        outcome = telling.reconcile(target.pk, tell=lambda action: show(step, action))
        if not outcome.done and outcome.ok:
            step.already_done("the server is as it should be")
        if outcome.error is not None and len(outcome.luns) < len(outcome.failed):
            raise outcome.error
        for number, why in outcome.luns.items():
            run.warn(f"LUN {number} of {target}: {sentence(why)}")
    return outcome


def tell_server_or_warn(run: TaskRun, target: Target | None, later: str) -> None:
    """The same after a change that stands. A silent node is told when it answers: `later` begins to say what."""
    if target is None:
        return
    try:
        tell_server(run, target)
    except Unreachable as error:
        run.warn(f"{sentence(error.message)} {later} as soon as {target.node} answers.")


def when_free(step: Step, call: Callable[[], T]) -> T:
    """What a call for an image returns, once nobody has the image open any more. Raises DriverError."""
    end, told = time.monotonic() + BUSY_SECONDS, False
    while True:
        try:
            return call()
        except Conflict as error:
            if error.code != "image-busy" or time.monotonic() > end:
                raise
        if not told:
            step.line("Somebody had it open and has not let go of it yet; waiting")
        told = True
        time.sleep(PAUSE_SECONDS)


def require_gone(outcome: telling.Outcome, number: int | None) -> None:
    """Raise the cause when the server still shows a LUN that must not be used any more."""
    if number is not None and number in outcome.luns and outcome.error is not None:
        raise outcome.error
