"""Starting and stopping a target's server."""

from iscsi.jobs.steps import find_target, resume, show, tell_server
from iscsi.models import Target
from iscsi.services import announcing
from iscsi.services.reconcile import reconcile
from iscsi.services.targets import PERMISSION, START, STOP
from tasks.registry import job, undo
from tasks.runner import TaskRun

SWITCH_BACK = "iscsi.target.switch_back"


@job(
    START,
    title="Starting target {target}",
    permission=PERMISSION,
    lock="target:{target_id}",
    recover=resume,
    doing="being started",
    noun="start",
)
def start(run: TaskRun, *, target_id: int) -> None:
    _switch(run, find_target(target_id), started=True)


@job(
    STOP,
    title="Stopping target {target}",
    permission=PERMISSION,
    lock="target:{target_id}",
    recover=resume,
    doing="being stopped",
    noun="stop",
)
def stop(run: TaskRun, *, target_id: int) -> None:
    target = find_target(target_id)
    if target.sessions:
        run.line(f"Connected until now: {', '.join(sorted({each['initiator'] for each in target.sessions}))}")
    _switch(run, target, started=False)


def _switch(run: TaskRun, target: Target, *, started: bool) -> None:
    with run.step("Recording what is wanted"):
        run.undo(SWITCH_BACK, target_id=target.pk, started=not started)
        with run.atomic():
            announcing.save(target, started=started)
    tell_server(run, target)


@undo(SWITCH_BACK)
def switch_back(run: TaskRun, *, target_id: int, started: bool) -> None:
    """It should be as before; a node that does not answer is told by the collector when it does."""
    target = Target.objects.filter(pk=target_id).first()
    if target is None:
        return
    with run.atomic():
        announcing.save(target, started=started)
    reconcile(target_id, tell=lambda action: show(run, action))
