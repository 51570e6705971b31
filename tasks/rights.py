"""What a user may do with a task: it may be about several objects, and steering it touches all of them."""

from collections.abc import Collection

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Q

from panel.accounts.models import User
from panel.accounts.permissions import bindings_with
from panel.accounts.scopes import covered_by
from tasks.models import Task, TaskTarget

Visitor = User | AnonymousUser | None


def may_steer(user: Visitor, permission: str, task: Task) -> bool:
    """Whether the user may cancel the task or try it again; see `steerable`."""
    return bool(steerable(user, permission, [task]))


def steerable(user: Visitor, permission: str, tasks: Collection[Task]) -> set[int]:
    """The ids of those tasks that the user may steer: by the right over every object that they are about.

    Who started a task needs the right over its first object only, as for starting it. At most one query.
    """
    ids = {task.pk for task in tasks}
    covered = covered_by(user, permission)
    if covered is None:
        return ids
    bindings = bindings_with(user, permission)
    if not ids or not bindings:
        return set()
    mine = covered.targets("object_type", "object_id")
    for binding in bindings:
        mine |= Q(object_type=binding.scope_type, object_id=binding.scope_id)
    first = Q(object_type=F("task__object_type"), object_id=F("task__object_id"))
    asked = TaskTarget.objects.filter(Q(task__in=ids), ~Q(task__initiator=covered.user) | first)
    outside = set(asked.exclude(mine).values_list("task", flat=True))
    return ids - outside - {task.pk for task in tasks if task.object_id is None}
