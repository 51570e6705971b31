"""The role iSCSI: what target servers need is put on a node, or taken off."""

from infrastructure.services.endpoints import driver as host_driver
from infrastructure.services.onboarding import packages
from iscsi.choices import RoleState
from iscsi.drivers.facts import PACKAGES
from iscsi.jobs.steps import find_node, resume
from iscsi.services import roles
from iscsi.services.access import ceph_access, only_cluster, servers_on
from iscsi.services.roles import ASSIGN, PERMISSION, WITHDRAW
from tasks.errors import Fenced, JobCancelled
from tasks.registry import explained, job
from tasks.runner import TaskRun


@job(
    ASSIGN,
    title="Preparing {node} for iSCSI",
    permission=PERMISSION,
    lock="iscsi-role:{node_id}",
    shares="node:{node_id}",
    recover=resume,
    doing="being prepared for iSCSI",
    noun="preparation",
)
def assign(run: TaskRun, *, node_id: int) -> None:
    node = find_node(node_id)
    try:
        with run.step("Installing tgt") as step, host_driver(node) as host:
            missing = packages.missing(host, PACKAGES)
            if missing:
                step.command(packages.install_command(missing))
                packages.install(host, missing)
            else:
                step.already_done("it is installed")
        with run.step("Putting there what keeps target servers running") as step:
            if not servers_on(node).prepare(ceph_access(only_cluster())):
                step.already_done()
    except (Fenced, JobCancelled):
        raise
    except Exception as error:
        told = explained(error)
        with run.atomic():
            roles.record_state(node, RoleState.FAILED, told[0] if told else "It failed by a fault of Mooring.")
        raise
    with run.step(f"Recording the role of {node}"), run.atomic():
        roles.record_state(node, RoleState.READY)


@job(
    WITHDRAW,
    title="Taking the role iSCSI from {node}",
    permission=PERMISSION,
    lock="iscsi-role:{node_id}",
    shares="node:{node_id}",
    recover=resume,
    doing="losing the role iSCSI",
    noun="withdrawal",
)
def withdraw(run: TaskRun, *, node_id: int) -> None:
    node = find_node(node_id)
    with run.step("Looking for targets") as step:
        roles.refuse_used(node)
        step.line("None lives there")
    with run.step("Taking off what target servers needed") as step:
        if not servers_on(node).forget():
            step.already_done()
    with run.step(f"Recording that {node} has the role no more"), run.atomic():
        roles.forget(node)
