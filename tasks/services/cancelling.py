"""Ask a task to stop."""

from contextlib import suppress

from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone

from panel.audit.services import record
from tasks import publish
from tasks.choices import FINAL_STATES, State
from tasks.closing import hold_parent, release, settle
from tasks.errors import NotPossible
from tasks.models import Task
from tasks.services.enqueueing import Actor, check_steering

# What no worker has begun can end at once. A task taken over from a dead worker cannot: its engine may be at work.
_UNTOUCHED = Q(state=State.QUEUED, recovering=False) | Q(state=State.WAITING, waits_for_children=False)


def cancel(task: Task, user: Actor = None, request: HttpRequest | None = None, *, only_waiting: bool = False) -> Task:
    """Cancel an open task: a waiting or queued one ends now, a running one as soon as its job looks.

    A task that waits for its children cancels these; with `only_waiting` those that no worker has begun, and the others
    go on. Returns the task as it is then.
    Raises PermissionDenied (audited) and NotPossible when it ended before or is past the point of no return.
    """
    if user is None and request is not None:
        user = request.user
    check_steering("task.cancel", user, request, action="task.cancel", task=task)
    name = user.get_username() if user is not None else "Mooring"
    detail = f"{task.title}{', only what waits' if only_waiting else ''}"
    try:
        with transaction.atomic():
            if only_waiting:
                cancel_waiting(task.pk, name)
            else:
                cancel_row(task.pk, name)
            record(action="task.cancel", actor=user, request=request, target=task, detail=detail, task_id=task.pk)
    except NotPossible as refusal:
        record(action="task.cancel", actor=user, request=request, target=task, result="refused", detail=str(refusal),
               task_id=task.pk)  # fmt: skip
        raise
    task.refresh_from_db()
    return task


def cancel_row(task_id: int, name: str) -> None:
    """One row and, where it is a parent, those below it. Every update names the state it starts from.

    Call it in a transaction, after the right was asked. Raises NotPossible.
    """
    now = timezone.now()
    asked = {"cancel_requested_at": now, "cancelled_by": name, "rev": F("rev") + 1}
    rows = Task.objects.filter(pk=task_id)
    parent_id = rows.values_list("parent_id", flat=True).first()
    hold_parent(parent_id)
    publish.after_commit(task_id, listed=True, parent_id=parent_id)
    ended = rows.filter(_UNTOUCHED).update(
        **asked, state=State.CANCELLED, reason=f"Cancelled by {name} before it began.", waiting_for="", finished_at=now
    )
    if ended:
        release(task_id, parent_id)
        return
    open_still = rows.exclude(state__in=FINAL_STATES)
    if not open_still.filter(cancellable=True).update(**asked):
        task = rows.get()
        if task.is_final:
            raise NotPossible(f"Task {task_id} has ended already ({task.get_state_display()}).")
        raise NotPossible(f"Task {task_id} is past the point where it can be cancelled. Wait for its end.")
    cancel_children(task_id, name)
    settle(task_id)


def cancel_waiting(task_id: int, name: str) -> None:
    """Cancel the children that no worker has begun; raises NotPossible when there is none. Call it in a transaction."""
    row = Task.objects.filter(pk=task_id, state=State.WAITING, waits_for_children=True)
    if not row.update(cancelled_by=name, rev=F("rev") + 1):
        raise NotPossible(f"Task {task_id} does not wait for tasks below it.")
    waiting = list(Task.objects.filter(_UNTOUCHED, parent_id=task_id).values_list("pk", flat=True))
    if not waiting:
        raise NotPossible("None of its tasks waits any more. Those that run can be cancelled with the whole action.")
    for child_id in waiting:
        with suppress(NotPossible):
            cancel_row(child_id, name)


def cancel_children(task_id: int, name: str) -> None:
    """Cancel the open tasks below one; those past their point of no return finish."""
    below = Task.objects.filter(parent_id=task_id).exclude(state__in=FINAL_STATES)
    for child_id in below.values_list("pk", flat=True):
        with suppress(NotPossible):
            cancel_row(child_id, name)
