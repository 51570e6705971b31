"""A definition that a failed migration left on its target; a task removes it once the node shows it.

libvirt writes the target's definition just before the switch. A libvirtd that hung at that moment and goes on after the
source took the guest back drops the guest and keeps the definition. The node's next migration of it would be refused.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.models import Placement
from infrastructure.services.migration.request import LIVE, OFFLINE
from tasks.choices import FINAL_STATES, State
from tasks.errors import TaskConflict
from tasks.models import Task, TaskStep
from tasks.services import Target, enqueue

CLEAR = "ve.clear"
# Saved by a migration once its checks had found that the target has no such VE: what is there now came of it.
_SAVED = (f"{LIVE}.abort", f"{OFFLINE}.back")
_BADLY = FINAL_STATES - {State.COMPLETED, State.WARNING}
_RECENT = timedelta(days=1)  # what shows later may be somebody's own


def clear_leftovers() -> list[Task]:
    """Start a task for each definition that a failed migration left, by what the inventory shows; the tasks."""
    tasks = []
    for stray, move in _found():
        with suppress(TaskConflict):  # something is done to the VE: a later look finds it again
            tasks.append(
                enqueue(
                    CLEAR,
                    user=None,
                    params={name: move.params[name] for name in ("ve_id", "source_id", "target_id")},
                    title_args={"ve": stray.ve.name, "node": stray.node.name},
                    targets=[Target("ve", stray.ve.pk, stray.ve.name), Target("node", stray.node.pk, stray.node.name)],
                    place=stray.node.name,
                    permission_object=stray.ve,
                )
            )
    return tasks


def _found() -> Iterator[tuple[Placement, Task]]:
    """Stopped VEs on a node that run on another, each with the failed migration that explains it."""
    recent = Task.objects.filter(state__in=_BADLY, queue="migrate", finished_at__gte=timezone.now() - _RECENT)
    moves = {move.params["ve_id"]: move for move in recent.filter(kind__in=(LIVE, OFFLINE)).order_by("pk")}
    if not moves:
        return
    strays = Placement.objects.filter(
        ve__in=moves,
        ve__state__in=(VEState.RUNNING, VEState.PAUSED),
        state=VEState.STOPPED,
        node__state=NodeState.ONLINE,
    )
    for stray in strays.exclude(node=F("ve__node")).select_related("ve", "node"):
        move = moves[stray.ve_id]
        nodes = move.params["source_id"], move.params["target_id"]
        if nodes == (stray.ve.node_id, stray.node_id) and _explains(move, stray):
            yield stray, move


def _explains(move: Task, stray: Placement) -> bool:
    """Whether it got so far, and nothing came after it: a later migration, or a task that cleared, tells more."""
    of_it = Task.objects.filter(targets__object_type="ve", targets__object_id=stray.ve_id)
    later = of_it.filter(kind__in=(LIVE, OFFLINE), pk__gt=move.pk)
    cleared = of_it.filter(kind=CLEAR, created_at__gte=move.finished_at)
    got_so_far = TaskStep.objects.filter(task=move, undo_name__in=_SAVED)
    return got_so_far.exists() and not later.exists() and not cleared.exists()
