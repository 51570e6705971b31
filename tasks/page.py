"""What the task page shows of a task, for the page itself and for its live updates."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Sum, prefetch_related_objects

from panel.accounts.models import User
from panel.accounts.permissions import can
from tasks import phases, registry
from tasks.charts import charts_of, noun_of
from tasks.closing import last_of, tally
from tasks.lanes import queues_of
from tasks.models import Task
from tasks.rights import may_steer
from tasks.scopes import Reader, reader_of, shown_to
from tasks.services.retrying import retryable

Visitor = User | AnonymousUser
# A traceback shows how Mooring works inside: for those who may read the audit trail.
TRACEBACK_PERMISSION = "audit.view"
EARLIER = 3


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do with one task, whatever its state: cancel it, try it again, see a traceback.

    reader: whose other tasks its page may name; see scopes.reader_of.
    """

    cancel: bool = False
    retry: bool = False
    traceback: bool = False
    reader: Reader = None

    def of(self, task: Task) -> "Rights":
        """What of it the task's present state offers. The services ask again when it is done."""
        return replace(self, cancel=self.cancel and task.is_open, retry=self.retry and retryable(task))


def rights_of(user: Visitor, task: Task) -> Rights:
    """What the user may do with the task; a table asks `rights.steerable` for all its rows at once."""
    return Rights(
        cancel=may_steer(user, "task.cancel", task),
        retry=_may_retry(user, task),
        traceback=can(user, TRACEBACK_PERMISSION),
        reader=reader_of(user),
    )


def _may_retry(user: Visitor, task: Task) -> bool:
    permission = retry_permission(task)
    return bool(permission) and may_steer(user, permission, task)


def retry_permission(task: Task) -> str:
    """The permission that a retry takes; "" when tasks of this kind are not tried again."""
    try:
        job = registry.get_job(task.kind)
    except LookupError:  # a kind that this version no longer has
        return ""
    return job.permission if job.retryable else ""


def keep_bindings(user: Any) -> None:
    """Read the user's role bindings once, however many objects a page asks about."""
    if isinstance(user, Model):
        prefetch_related_objects([user], "role_bindings")


def regions(rights: Rights, task: Task, *, charted: bool = True) -> dict[str, Any]:
    """The context of the regions that change while a task runs. The task comes with `parent` and `targets`."""
    return {
        "task": task,
        "rights": rights.of(task),
        "targets": task.targets.all(),
        "phases": phases.shown(task),
        "noun": noun_of(task),
        "charts": charts_of(task) if charted else (),
        "queue": queues_of([task], rights.reader).get(task.pk),
    }


@dataclass(frozen=True, slots=True)
class Children:
    """The table of a bulk action: its tasks, each with its place `in_line`, and what became of them in words.

    rev: a number that grows with each change below the task, as `rev_of_children` gives it.
    """

    rows: list[Task]
    tally: str
    rev: int


def children_of(reader: Reader, task: Task) -> Children | None:
    """The tasks below one that the reader sees, of those started again the last; None when there is none."""
    everything = list(shown_to(reader, task.children.order_by("pk")))
    if not everything:
        return None
    rows = last_of(everything)
    queues = queues_of(rows, reader)
    for row in rows:
        row.__dict__["in_line"] = queues.get(row.pk)
    return Children(rows, tally(rows), sum(row.rev for row in everything))


def rev_of_children(reader: Reader, task: Task) -> int:
    """A number that grows with each change below the task that the reader sees."""
    return int(shown_to(reader, task.children.all()).aggregate(rev=Sum("rev"))["rev"] or 0)


def earlier_on_same_object(reader: Reader, task: Task) -> list[Task]:
    """The last few tasks before this one about its object that the reader sees, newest first."""
    if task.object_id is None:
        return []
    same = Task.objects.filter(object_type=task.object_type, object_id=task.object_id, pk__lt=task.pk)
    return list(shown_to(reader, same.order_by("-pk"))[:EARLIER])
