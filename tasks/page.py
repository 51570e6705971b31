"""What the task page shows of a task, for the page itself and for its live updates."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, prefetch_related_objects

from panel.accounts.models import User
from panel.accounts.permissions import can
from tasks import registry
from tasks.models import Task
from tasks.services.retrying import RETRYABLE

Visitor = User | AnonymousUser
# A traceback shows how Mooring works inside: for those who may read the audit trail.
TRACEBACK_PERMISSION = "audit.view"
EARLIER = 3


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do with one task as it is now."""

    cancel: bool
    retry: bool
    traceback: bool = False


def rights_of(user: Visitor, task: Task) -> Rights:
    """Cancel an open task, try an ended one again, see a traceback. The services ask again when it is done."""
    return Rights(
        cancel=task.is_open and can(user, "task.cancel", task),
        retry=task.state in RETRYABLE and _may_retry(user, task),
        traceback=can(user, TRACEBACK_PERMISSION),
    )


def _may_retry(user: Visitor, task: Task) -> bool:
    try:
        job = registry.get_job(task.kind)
    except LookupError:  # a kind that this version no longer has
        return False
    return job.retryable and can(user, job.permission, task)


def keep_bindings(user: Any) -> None:
    """Read the user's role bindings once, however many objects a page asks about."""
    if isinstance(user, Model):
        prefetch_related_objects([user], "role_bindings")


def regions(user: Visitor, task: Task) -> dict[str, Any]:
    """The context of the regions that change while a task runs. The task comes with `parent` and `targets`."""
    children = list(task.children.order_by("pk")) if task.waits_for_children or task.is_final else []
    return {
        "task": task,
        "rights": rights_of(user, task),
        "targets": task.targets.all(),
        "children": children,
        "children_ended": sum(child.is_final for child in children),
    }


def earlier_on_same_object(task: Task) -> list[Task]:
    """The last few tasks before this one about its object, newest first."""
    if task.object_id is None:
        return []
    same = Task.objects.filter(object_type=task.object_type, object_id=task.object_id, pk__lt=task.pk)
    return list(same.order_by("-pk")[:EARLIER])
