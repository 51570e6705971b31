"""What goes with the end of a task: its locks, its place in the lanes, and what its parent is told."""

from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tasks import lanes, publish
from tasks.choices import State
from tasks.models import Task, TaskLock
from tasks.text import clip

Identity = tuple[str, tuple[str, int] | str]
CAUSES_TOLD = 3
_COMPLETED = (State.COMPLETED, State.WARNING)
_ADVICE = "The tasks of this action below say why. Retry starts again only what was not done."
_GROUPS = {
    **dict.fromkeys((State.WAITING, State.QUEUED), "waits"),
    State.RUNNING: "runs",
    **dict.fromkeys(_COMPLETED, "done"),
    **dict.fromkeys((State.FAILED, State.ERRORED, State.LOST), "failed"),
    State.CANCELLED: "cancelled",
}
_TOLD = ("failed", "cancelled", "runs", "waits")


def hold_parent(parent_id: int | None) -> None:
    """Lock the parent's row; call it first in a transaction that may end one of its children.

    Who cancels a parent has its row before the children's. Taken the other way round, each would wait for the other.
    SQLite has one writer at a time.
    """
    if parent_id is not None:
        list(Task.objects.select_for_update(no_key=True).filter(pk=parent_id).values_list("pk"))


def release(task_id: int, parent_id: int | None) -> None:
    """Call it in the transaction that writes a task's final state, after `hold_parent`."""
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
    if any(child.is_open for child in children):
        ended = [child for child in children if child.is_final]
        percent = 100 * len(ended) // len(children)
        waiting.update(waiting_for=clip(tally(ended, len(children)), 250), progress=percent)
        publish.after_commit(parent_id, listed=True, parent_id=parent.parent_id)
        return
    state, reason = _verdict(parent, children)
    waiting.update(
        state=state,
        reason=reason,
        advice=_ADVICE if state in (State.FAILED, State.WARNING) and children else "",
        waiting_for="",
        waits_for_children=False,
        ending="",
        progress=100,
        finished_at=timezone.now(),
    )
    publish.after_commit(parent_id, listed=True, parent_id=parent.parent_id)
    release(parent_id, parent.parent_id)


def last_children(parent: Task) -> list[Task]:
    """The children that count: of those started again by a later attempt, the last one."""
    return last_of(parent.children.order_by("pk"))


def last_of(children: Iterable[Task]) -> list[Task]:
    """Of the children of one task, the oldest first, those that count."""
    return list({identity(child): child for child in children}.values())


def identity(child: Task) -> Identity:
    """What a child and its repetition have in common: what is done to which object, maybe in another way this time."""
    return child.kind, (child.object_type, child.object_id) if child.object_id is not None else child.params_hash


def failed_children(parent: Task) -> list[Task]:
    """The children that a retry of the parent starts again."""
    return failed_of(last_children(parent))


def failed_of(children: Iterable[Task]) -> list[Task]:
    """Those that ended without doing what was asked."""
    return [child for child in children if child.is_final and child.state not in _COMPLETED]


def tally(children: Sequence[Task], total: int = 0) -> str:
    """ "2 of 5 done, 1 failed, 1 runs, 2 wait"; `total` when these are not all of them."""
    counts = Counter(_GROUPS[State(child.state)] for child in children)
    words = [f"{counts['done']} of {total or len(children)} done"]
    return ", ".join([*words, *(f"{counts[group]} {_word(group, counts[group])}" for group in _TOLD if counts[group])])


def _word(group: str, count: int) -> str:
    return group.removesuffix("s") if count > 1 and group in ("runs", "waits") else group


def _verdict(parent: Task, children: list[Task]) -> tuple[State, str]:
    """How the parent ends: as its children did, unless its own job came to something worse (`ending`)."""
    state = _from_children(parent, [State(child.state) for child in children])
    own = State(parent.ending) if parent.ending else State.COMPLETED
    if own not in _COMPLETED or state == State.COMPLETED:
        state = own
    if state == State.COMPLETED:
        return state, ""
    told = parent.reason or (f"Cancelled by {parent.cancelled_by}." if state == State.CANCELLED else "")
    counted = f"{tally(children)}." if children else ""
    return state, " ".join(filter(None, [told, counted, _causes(children)]))


def _from_children(parent: Task, states: list[State]) -> State:
    groups = {_GROUPS[state] for state in states}
    if parent.cancelled_by and "cancelled" in groups:
        return State.CANCELLED
    if groups == {"failed"} or groups == {"failed", "cancelled"}:
        return State.FAILED
    return State.WARNING if groups - {"done"} or State.WARNING in states else State.COMPLETED


def _causes(children: list[Task]) -> str:
    """Why the first few failed: "vm2: Not enough memory on secondnode1."."""
    failed = [child for child in children if _GROUPS[State(child.state)] == "failed"]
    causes = [f"{child.object_name or child.title}: {child.reason}" for child in failed[:CAUSES_TOLD]]
    rest = len(failed) - len(causes)
    return " ".join([*causes, f"And {rest} more."] if rest else causes)
