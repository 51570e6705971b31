"""Ending the server of a target that leaves its node or goes for good, also when that node does not answer."""

from collections.abc import Callable

from infrastructure.drivers.base import DriverError, TimedOut, Unreachable
from infrastructure.models import Node
from infrastructure.services.figures import sentence
from iscsi.jobs.steps import images_of, show
from iscsi.models import Target
from iscsi.services import leftovers
from iscsi.services.reconcile import reconcile
from storage.drivers.imaging import SHUT_OUT_SECONDS
from tasks.runner import Step, TaskRun

# Who tries by hand finds the addresses with the first and says each of them to the second.
_SEE, _REFUSE = ("rbd", "status"), ("ceph", "osd", "blocklist", "add")


def end_server(
    run: TaskRun, step: Step, target: Target, *, without_node: bool, first: Callable[[], None] = lambda: None
) -> None:
    """End it on its node, which wants it no more. Raises DriverError.

    without_node: when the node is silent, its server is shut out of the images instead, and what is left there is
    remembered. `first` is called before that, and raises when it may not be done.
    """
    try:
        outcome = reconcile(target.pk, tell=lambda action: show(step, action))
    except (Unreachable, TimedOut) as error:
        if not without_node:
            raise
        step.line(f"{sentence(error.message)} It goes on without it")
        first()
        _shut_out(run, step, target)
        return
    if outcome.error is not None:
        raise outcome.error
    if not outcome.done:
        step.already_done("no server of it is there")


def _shut_out(run: TaskRun, step: Step, target: Target) -> None:
    """Take its images from whoever has them open on the silent node."""
    with run.atomic():  # first: whatever happens now, a server that was shut out must not stay
        leftovers.record(target)
    images, hosts, refused = images_of(run), leftovers.addresses_of(target.node), 0
    try:
        for lun in target.luns.select_related("datastore__cluster"):
            if not images.exists(lun):
                continue
            step.command([*_SEE, f"{lun.datastore.pool}/{lun.image}"])
            for who in images.shut_out(lun, hosts):
                refused += 1
                step.command([*_REFUSE, who, SHUT_OUT_SECONDS])
                step.line(f"{lun}: {who} on {target.node} can neither read nor write it any more")
    except DriverError:
        if not refused:  # then it may go on as it is
            with run.atomic():
                leftovers.forget(target)
        raise
    run.warn(_left(target.node))


def _left(node: Node) -> str:
    return (
        f"{node} did not answer. What the target left there is removed as soon as it does. Until then the node must "
        "not be on the network of initiators with the target's addresses: switch it off, if it is not."
    )
