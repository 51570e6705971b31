"""A definition that a failed migration left on its target; a task removes it when the node answers again.

libvirt writes the target's definition just before the switch. A libvirtd that hung at that moment and goes on after the
source took the guest back drops the guest and keeps the definition. The next migration to this node would be refused.
Only what a migration expects to have left is removed: a row says so, from the end of the migration, which found the
target silent and had found it without the VE before, to the first look at a target that answers.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from infrastructure.choices import NodeState, VEState
from infrastructure.models import Leftover
from infrastructure.services.migration.plan import Plan
from tasks.choices import OPEN_STATES
from tasks.errors import TaskConflict
from tasks.models import Task, TaskLock
from tasks.services import Target, enqueue

CLEAR = "ve.clear"
_KEPT = timedelta(days=1)  # what shows later may be somebody's own
_AGAIN = timedelta(minutes=10)  # after a task that could not find out


def expect(plan: Plan) -> None:
    """Remember that the target may have kept the definition."""
    Leftover.objects.update_or_create(ve=plan.ve, node=plan.target, defaults={"since": timezone.now()})


def expected(plan: Plan) -> bool:
    return Leftover.objects.filter(ve=plan.ve, node=plan.target).exists()


def clear(plan: Plan) -> None:
    """Have the target forget its definition. DriverError, also when it is more than a definition by now."""
    plan.target_driver.undefine(plan.uuid)
    settle(plan)


def settle(plan: Plan) -> None:
    """The target has answered: what it shows from now on did not come of the migration."""
    Leftover.objects.filter(ve=plan.ve, node=plan.target).delete()


def clear_leftovers() -> list[Task]:
    """Start a task for each node that answers again and may have kept a definition; those started."""
    if (old := Leftover.objects.filter(since__lt=timezone.now() - _KEPT)).exists():
        old.delete()
    tasks = []
    for left in _ready():
        with suppress(TaskConflict):
            tasks.append(
                enqueue(
                    CLEAR,
                    user=None,
                    params={"ve_id": left.ve_id, "source_id": left.ve.node_id, "target_id": left.node_id},
                    title_args={"ve": left.ve.name, "node": left.node.name},
                    targets=[Target("ve", left.ve_id, left.ve.name), Target("node", left.node_id, left.node.name)],
                    place=left.node.name,
                    permission_object=left.ve,
                )
            )
    return tasks


def _ready() -> Iterator[Leftover]:
    """Those whose node has answered since, whose VE runs elsewhere, and about which nothing else is being done."""
    rows = Leftover.objects.filter(
        node__state=NodeState.ONLINE,
        node__observed_at__gt=F("since"),
        ve__state=VEState.RUNNING,
        ve__node__state=NodeState.ONLINE,
    )
    for left in rows.exclude(node=F("ve__node")).select_related("ve", "node"):
        # A conflict would be written to the audit log each time.
        keys = [f"ve:{left.ve_id}", f"node:{left.node_id}", f"node:{left.ve.node_id}"]
        lately = Q(state__in=OPEN_STATES) | Q(created_at__gt=timezone.now() - _AGAIN)
        before = Task.objects.filter(lately, kind=CLEAR, targets__object_type="ve", targets__object_id=left.ve_id)
        held = TaskLock.objects.filter(Q(key=keys[0]) | Q(key__in=keys[1:], shared=False))
        if not held.exists() and not before.filter(created_at__gt=left.since).exists():
            yield left
