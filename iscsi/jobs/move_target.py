"""Moving a target with its addresses to another node. Initiators are without it from its stop to its start there."""

from typing import Any, cast

from infrastructure.drivers.base import Conflict, Unreachable
from infrastructure.models import Node
from iscsi.choices import Stage
from iscsi.jobs.leaving_node import end_server
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
def move(
    run: TaskRun,
    *,
    target_id: int,
    source_id: int,
    node_id: int,
    places: Places,
    before: Places,
    without_node: bool = False,
) -> None:
    target, node = find_target(target_id), find_node(node_id)
    if target.node_id != node_id:
        with run.step(f"Checking {node}") as step:
            roles.require(node)
            servers_on(node).prepare(ceph_access(only_cluster()))
            step.line(f"{node} can run its server")
        with run.step(f"Stopping the server of {target} on {target.node}") as step:
            run.undo(BACK, target_id=target_id, source_id=source_id, before=before)
            with run.atomic():
                announcing.save(target, stage=Stage.RESTING)
            end_server(
                run, step, target, without_node=without_node, first=lambda: _require_unanswered(target, node, places)
            )
        _arrive(run, target, node, places)
    else:
        with run.step(f"Recording {node} as its node") as step:
            run.undo(BACK, target_id=target_id, source_id=source_id, before=before)
            step.already_done()
            with run.atomic():
                announcing.save(target, stage=Stage.READY)
    tell_server(run, target, f"Starting the server of {target} on {node}")


def _require_unanswered(target: Target, node: Node, places: Places) -> None:
    """Conflict when somebody answers at an address, seen from the other node: then initiators have the target still."""
    for place in places:
        if servers_on(node).is_answered(place["address"], place["interface"]):
            raise Conflict(
                f"A machine answers at {place['address']}: {target.node} is on the network and may serve {target}",
                code="address-used",
                component="host",
                advice=f"Switch {target.node} off, or wait until Mooring reaches it.",
            )


def _arrive(run: TaskRun, target: Target, node: Node, places: Places) -> None:
    with run.step(f"Recording {node} as its node") as step:
        with run.atomic():
            _put(target, node, places)
        step.line(f"Server {target.number}, at {', '.join(place['address'] for place in places)}")


def _put(target: Target, node: Node, places: Places) -> None:
    """Write its node, once another one has none of its addresses any more; call it in a transaction."""
    if target.node_id != node.pk:
        portals.gone_from(target.node, portals.places_of(target))
    Node.objects.select_for_update().get(pk=node.pk)
    announcing.save(target, node=node, number=free_number(node, target), stage=Stage.READY)
    portals.set_portals(target, cast("list[Place]", places))


@undo(BACK)
def back(run: TaskRun, *, target_id: int, source_id: int, before: Places) -> None:
    """It should run where it did. Where the other node may serve it already and is silent, it stays there."""
    target = Target.objects.select_related("node").filter(pk=target_id).first()
    source = Node.objects.filter(pk=source_id).first()
    if target is None or source is None:
        return
    if target.node_id != source_id and not _left_again(run, target):
        return
    with run.atomic():
        _put(target, source, before)
    try:
        reconcile(target_id, tell=lambda action: show(run, action))
    except Unreachable:
        run.line(f"{target} goes on as soon as {source} answers")


def _left_again(run: TaskRun, target: Target) -> bool:
    """Stop it on the node it came to; False when that node is silent, so that it stays there."""
    with run.atomic():
        announcing.save(target, stage=Stage.RESTING)
    try:
        outcome = reconcile(target.pk, tell=lambda action: show(run, action))
    except Unreachable:
        with run.atomic():
            announcing.save(target, stage=Stage.READY)
        run.line(f"{target} stays on {target.node}, which may serve it: it goes on when the node answers")
        return False
    if outcome.error is not None:
        raise outcome.error
    return True
