"""Creating a target: its addresses on the node, its server, the target itself."""

from iscsi.choices import Stage
from iscsi.jobs.steps import find_target, resume, shared_node, show, tell_server
from iscsi.models import Target
from iscsi.services import announcing, roles
from iscsi.services.reconcile import reconcile
from iscsi.services.targets import CREATE, PERMISSION
from tasks.registry import job, undo
from tasks.runner import TaskRun

NOT_CREATED = "iscsi.target.not_created"


@job(
    CREATE,
    title="Creating target {target}",
    permission=PERMISSION,
    lock="target:{target_id}",
    shares=shared_node,
    recover=resume,
    doing="being created",
    noun="creation",
)
def create(run: TaskRun, *, target_id: int) -> None:
    target = find_target(target_id)
    with run.step(f"Checking {target.node}") as step:
        run.undo(NOT_CREATED, target_id=target_id)
        with run.atomic():
            announcing.save(target, stage=Stage.CREATING)
        roles.require(target.node)
        addresses = ", ".join(portal.address for portal in target.portals.all())
        step.line(f"Server {target.number}, at {addresses}")
    tell_server(run, target, f"Starting the server of {target} on {target.node}")
    with run.step(f"Recording {target}") as step:
        with run.atomic():
            announcing.save(target, stage=Stage.READY)
        step.line(f"{target.iqn} is ready")


@undo(NOT_CREATED)
def not_created(run: TaskRun, *, target_id: int) -> None:
    """Take the server and the addresses off the node. The row stays, so that the task can be tried again."""
    target = Target.objects.filter(pk=target_id).first()
    if target is None:
        return
    with run.atomic():
        announcing.save(target, stage=Stage.FAILED)
    outcome = reconcile(target_id, tell=lambda action: show(run, action))
    if outcome.error is not None:
        raise outcome.error
