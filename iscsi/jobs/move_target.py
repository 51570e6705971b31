"""Moving a target with its addresses to another node. Initiators are without it from its stop to its start there."""

from typing import Any, cast

from infrastructure.drivers.base import Unreachable
from infrastructure.models import Node
from iscsi.choices import Stage
from iscsi.jobs.steps import find_node, find_target, resume, show, tell_server
from iscsi.models import Target
from iscsi.services import announcing, portals, roles
from iscsi.services.access import ceph_access, only_cluster, servers_on
from iscsi.services.portals import Place
from iscsi.services.reconcile import reconcile
from iscsi.services.targets import MOVE, PERMISSION, free_number
from tasks.registry import job, undo
from tasks.runner import TaskRun

BACK = "iscsi.target.move_back"
Places = list[dict[str, Any]]


@job(
    MOVE,
    title="Moving target {target} to {node}",
    permission=PERMISSION,
    lock="target:{target_id}",
    shares=("node:{node_id}", "node:{source_id}"),
    recover=resume,
    doing="being moved",
    noun="move",
)
def move(run: TaskRun, *, target_id: int, source_id: int, node_id: int, places: Places, before: Places) -> None:
    target, node = find_target(target_id), find_node(node_id)
    if target.node_id != node_id:
        with run.step(f"Checking {node}") as step:
            roles.require(node)
            servers_on(node).prepare(ceph_access(only_cluster()))
            step.line(f"{node} can run its server")
        _leave(run, target, source_id, before)
        _arrive(run, target, node, places)
    else:
        with run.step(f"Recording {node} as its node") as step:
            run.undo(BACK, target_id=target_id, source_id=source_id, before=before)
            step.already_done()
            with run.atomic():
                announcing.save(target, stage=Stage.READY)
    tell_server(run, target, f"Starting the server of {target} on {node}")


def _leave(run: TaskRun, target: Target, source_id: int, before: Places) -> None:
    with run.step(f"Stopping the server of {target} on {target.node}") as step:
        run.undo(BACK, target_id=target.pk, source_id=source_id, before=before)
        with run.atomic():
            announcing.save(target, stage=Stage.RESTING)
        outcome = reconcile(target.pk, tell=lambda action: show(step, action))
        if outcome.error is not None:
            raise outcome.error
        if not outcome.done:
            step.already_done("it does not run")


def _arrive(run: TaskRun, target: Target, node: Node, places: Places) -> None:
    with run.step(f"Recording {node} as its node") as step:
        with run.atomic():
            _put(target, node, places)
        step.line(f"Server {target.number}, at {', '.join(place['address'] for place in places)}")


def _put(target: Target, node: Node, places: Places) -> None:
    """Write another node, once the former one has none of its addresses any more; call it in a transaction."""
    portals.gone_from(target.node, portals.places_of(target))
    Node.objects.select_for_update().get(pk=node.pk)
    announcing.save(target, node=node, number=free_number(node), stage=Stage.READY)
    portals.set_portals(target, cast("list[Place]", places))


@undo(BACK)
def back(run: TaskRun, *, target_id: int, source_id: int, before: Places) -> None:
    """It should run where it did. Where the other node may serve it already and is silent, it stays there."""
    target = Target.objects.select_related("node").filter(pk=target_id).first()
    source = Node.objects.filter(pk=source_id).first()
    if target is None or source is None:
        return
    if target.node_id != source_id:
        with run.atomic():
            announcing.save(target, stage=Stage.RESTING)
        try:
            outcome = reconcile(target_id, tell=lambda action: show(run, action))
        except Unreachable:
            with run.atomic():
                announcing.save(target, stage=Stage.READY)
            run.line(f"{target} stays on {target.node}, which may serve it: it goes on when the node answers")
            return
        if outcome.error is not None:
            raise outcome.error
        with run.atomic():
            _put(target, source, before)
    else:
        with run.atomic():
            announcing.save(target, stage=Stage.READY)
    reconcile(target_id, tell=lambda action: show(run, action))
