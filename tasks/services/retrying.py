"""Try a task again: a new attempt of the same row, below the log of the earlier ones."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from panel.accounts.models import User
from panel.audit.services import record
from tasks import messages, phases, publish, registry
from tasks.choices import State
from tasks.closing import failed_children
from tasks.errors import NotPossible, TaskConflict
from tasks.lanes import full_lanes, occupancy, take_gate, waiting_text
from tasks.locks import Locks, in_the_way, take
from tasks.models import Task, TaskLine
from tasks.services.enqueueing import Actor, check_steering, conflict_with, locks_of, source_of

RETRYABLE = (State.FAILED, State.ERRORED, State.CANCELLED, State.LOST)
_FRESH: dict[str, Any] = {
    "reason": "", "advice": "", "traceback": "", "ending": "", "finished_at": None, "started_at": None,
    "recovering": False, "recoveries": 0, "cancellable": True, "cancel_requested_at": None, "cancelled_by": "",
    "progress": None, "progress_note": "", "figures": {}, "samples_rev": 0,
    "worker": "",
}  # fmt: skip


def retry(task: Task, user: Actor = None, request: HttpRequest | None = None, *, permission_object: Any = None) -> Task:
    """Queue a task that failed, errored, was cancelled or lost for another attempt; it runs with this user's rights.

    A bulk action may be tried again also when only some of its tasks failed: those are started again.
    Its locks are taken again. Raises PermissionDenied, TaskConflict (both audited), and NotPossible when the task is in
    another state or its kind cannot be tried again.
    """
    if user is None and request is not None:
        user = request.user
    job = registry.get_job(task.kind)
    action = f"{task.kind} (retry)"
    check_steering(job.permission, user, request, action=action, task=task)
    name = user.get_username() if user is not None else "Mooring"
    try:
        with transaction.atomic():
            take_gate()
            current = Task.objects.get(pk=task.pk)
            if not job.retryable or not retryable(current):
                raise NotPossible(f"Task {task.pk} cannot be tried again: {current.get_state_display().lower()}.")
            _take_locks(current, locks_of(job, current.params))
            _requeue(current, user, request, name)
            record(action=action, actor=user, request=request, target=permission_object or task,
                   detail=task.title, task_id=task.pk)  # fmt: skip
    except (NotPossible, TaskConflict) as refusal:
        record(action=action, actor=user, request=request, target=permission_object or task,
               result="refused", detail=str(refusal), task_id=task.pk)  # fmt: skip
        raise
    task.refresh_from_db()
    return task


def retryable(task: Task) -> bool:
    """Whether the task's state admits another attempt."""
    return task.state in RETRYABLE or (task.state == State.WARNING and bool(failed_children(task)))


def _take_locks(task: Task, locks: Locks) -> None:
    if holders := in_the_way(locks):
        raise conflict_with(holders[0])
    take(task, locks)


def _requeue(task: Task, user: Actor, request: HttpRequest | None, name: str) -> None:
    lanes = list(task.lanes.all())
    full = full_lanes(lanes, occupancy({lane.key for lane in lanes}))
    fresh_phases = phases.planned(row["name"] for row in task.phases)
    columns = dict(
        _FRESH, phases=fresh_phases, state=State.WAITING if full else State.QUEUED, waiting_for=waiting_text(full)
    )
    if isinstance(user, User):
        columns |= {"initiator": user, "initiator_name": user.get_username(), "source": source_of(request)}
    columns |= {"sends": 0, "sent_at": None} if full else {"sends": 1, "sent_at": timezone.now()}
    Task.objects.filter(pk=task.pk).update(**columns, rev=F("rev") + 1, log_length=F("log_length") + 1)
    row = Task.objects.values("rev", "log_length").get(pk=task.pk)
    TaskLine.objects.create(
        task=task, seq=row["log_length"], rev=row["rev"], at=timezone.now(),
        text=f"Attempt {task.attempt + 1} asked for by {name}",
    )  # fmt: skip
    if not full:
        messages.send_after_commit(task.pk, task.queue)
    publish.after_commit(task.pk, row["rev"], listed=True, parent_id=task.parent_id)
