"""What goes with the end of a task: its locks, its place in the lanes, and what its parent is told."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tasks import lanes, publish
from tasks.choices import FINAL_STATES, State
from tasks.models import Task, TaskLock

_COMPLETED = (State.COMPLETED, State.WARNING)


def release(task_id: int, parent_id: int | None) -> None:
    """Call it in the transaction that writes a task's final state."""
    TaskLock.objects.filter(task_id=task_id).delete()
    if parent_id is not None:
        settle(parent_id)
    transaction.on_commit(lambda: _admit_next(), robust=True)


def _admit_next() -> None:
    lanes.admit()


def settle(parent_id: int) -> None:
    """End a task that waits for its children when all of them have ended; else say how many are left.

    Call it in a transaction. The first update locks the parent, so that the last two children cannot miss each other.
    """
    waiting = Task.objects.filter(pk=parent_id, state=State.WAITING, waits_for_children=True)
    if not waiting.update(rev=F("rev") + 1):
        return
    parent = Task.objects.get(pk=parent_id)
    children = last_children(parent)
    left = sum(child.state not in FINAL_STATES for child in children)
    if left:
        done = len(children) - left
        waiting.update(waiting_for=f"Waits for {left} of {len(children)} tasks", progress=100 * done // len(children))
        publish.after_commit(parent_id, listed=True)
        return
    state, reason = _from_children(parent, [State(child.state) for child in children])
    waiting.update(
        state=state,
        reason=reason,
        advice="Open the tasks below for the causes." if state in (State.FAILED, State.WARNING) else "",
        waiting_for="",
        waits_for_children=False,
        progress=100,
        finished_at=timezone.now(),
    )
    publish.after_commit(parent_id, listed=True)
    release(parent_id, parent.parent_id)


def last_children(parent: Task) -> list[Task]:
    """The children that count: of those started again by a later attempt, the last one."""
    last = {child.params_hash: child for child in parent.children.order_by("pk")}
    return list(last.values())


def _from_children(parent: Task, states: list[State]) -> tuple[State, str]:
    completed = _count(states, _COMPLETED)
    cancelled = _count(states, (State.CANCELLED,))
    failed = len(states) - completed - cancelled
    words = f"{completed} of {len(states)} completed"
    words += f", {failed} failed" if failed else ""
    words += f", {cancelled} cancelled" if cancelled else ""
    if parent.cancel_requested_at and cancelled:
        return State.CANCELLED, f"Cancelled by {parent.cancelled_by}. {words}."
    if not completed and failed:
        return State.FAILED, f"{words}."
    if failed or cancelled or State.WARNING in states:
        return State.WARNING, f"{words}{', some with warnings' if State.WARNING in states else ''}."
    return State.COMPLETED, ""


def _count(states: list[State], wanted: Iterable[State]) -> int:
    return sum(state in set(wanted) for state in states)
