"""Which tasks somebody sees whose role is over a part of the tree.

What several readers share is made once for all who see everything, and for each of the others: `reader_of` tells them
apart, `shown_to` narrows.
"""

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from panel.accounts.models import User
from panel.accounts.scopes import Covered, covered_by, register_rows, visible
from tasks.models import Task, TaskTarget

PERMISSION = "task.view"
Reader = User | AnonymousUser | None  # None sees all tasks


def register() -> None:
    """Called when the app starts."""
    register_rows(Task, _narrow)


def reader_of(user: User | AnonymousUser, subject: object | None = None) -> Reader:
    """The user, or None where his role shows all tasks."""
    return None if covered_by(user, PERMISSION) is None else user


def shown_to(reader: Reader, rows: QuerySet[Task]) -> QuerySet[Task]:
    """The rows that this reader sees, in the same query."""
    return rows if reader is None else visible(reader, PERMISSION, rows)


def _narrow(covered: Covered) -> Q:
    """Tasks about an object of the covered parts, and those that the user started."""
    mine = covered.targets("object_type", "object_id")
    for part, ids in covered.parts:  # also a node that was removed since: its last task is about that
        mine |= Q(object_type=part, object_id__in=ids)
    about = TaskTarget.objects.filter(mine)
    return Q(pk__in=about.values("task")) | Q(initiator=covered.user)
