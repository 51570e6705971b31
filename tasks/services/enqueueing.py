"""Start a task: the right, the lock, the lanes, the row; then the message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from panel.accounts.models import User
from panel.accounts.permissions import require
from panel.audit.services import record
from tasks import messages, phases, publish, registry, signatures
from tasks.choices import State
from tasks.errors import BadRequest, TaskConflict
from tasks.lanes import Lane, full_lanes, occupancy, take_gate, waiting_text
from tasks.locks import Locks, in_the_way, take
from tasks.models import Task, TaskLane, TaskTarget
from tasks.registry import Job
from tasks.rights import may_steer
from tasks.text import clip

Actor = AbstractBaseUser | AnonymousUser | None


@dataclass(frozen=True, slots=True)
class Target:
    """An object that a task is about, such as ("ve", 7, "vmtest"). A task's first target is its object.

    word: what it is to this task where its type does not say enough: "Source", "Target".
    """

    type: str
    id: int
    name: str
    word: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that a new task's row is made of."""

    job: Job
    params: dict[str, Any]
    title: str
    user: User | None
    source: str | None
    targets: tuple[Target, ...]
    place: str
    parent: Task | None
    locks: Locks
    lanes: list[Lane]
    facts: list[list[str]]
    cancel_note: str
    digest: str = field(default="")


def enqueue(
    kind: str,
    *,
    user: Actor = None,
    request: HttpRequest | None = None,
    params: Mapping[str, Any] | None = None,
    title_args: Mapping[str, object] | None = None,
    targets: Iterable[Target] = (),
    place: str = "",
    permission_object: Any = None,
    parent: Task | None = None,
    facts: Mapping[str, object] | None = None,
    lanes: Iterable[Lane] = (),
) -> Task:
    """Start a task of a registered kind, or find the open one that an identical request started.

    user: who asks; the request's user when only `request` is given; neither means Mooring itself, which may do all.
    permission_object: the model instance that the right is asked about, and the target of the audit row.
    facts: what the task's page shows beside its objects: {"Pause limit": "300 ms"}.
    lanes: lanes besides those of its kind.
    Returns the task; its `already_running` is true when it was there before.
    Raises PermissionDenied and TaskConflict (both audited), UnknownJob, BadRequest.
    """
    job = registry.get_job(kind)
    if user is None and request is not None:
        user = request.user
    check_right(job.permission, user, request, action=kind, target=permission_object)
    wanted = _wanted(
        job, user, request, params or {}, title_args or {}, tuple(targets), place, parent, facts or {}, tuple(lanes)
    )
    try:
        return _take(wanted, user, request, permission_object)
    except TaskConflict as conflict:
        record(action=kind, actor=user, request=request, target=permission_object, result="refused",
               detail=str(conflict), task_id=conflict.task.pk)  # fmt: skip
        raise


@transaction.atomic
def _take(wanted: Wanted, user: Actor, request: HttpRequest | None, target: Any) -> Task:
    """The open task that an identical request started, or a new one, written down. Raises TaskConflict."""
    take_gate()
    held = _holder(wanted)
    if held is not None:
        held.already_running = True
        return held
    task = _create(wanted)
    record(action=task.kind, actor=user, request=request, target=target or task, detail=task.title, task_id=task.pk)
    return task


def check_right(permission: str, user: Actor, request: HttpRequest | None, *, action: str, target: Any) -> None:
    """Raise PermissionDenied, and write the refused attempt down, unless the user holds the right. None may do all."""
    if user is None:
        return
    try:
        require(user if isinstance(user, User) else AnonymousUser(), permission, target)
    except PermissionDenied as refusal:
        record(action=action, actor=user, request=request, target=target, result="refused", detail=str(refusal))
        raise


def check_steering(permission: str, user: Actor, request: HttpRequest | None, *, action: str, task: Task) -> None:
    """The same for a task that is there already: the right over all that it is about, see rights.may_steer."""
    if user is None:
        return
    if not may_steer(user if isinstance(user, User) else None, permission, task):
        who = user.get_username() or "An anonymous visitor"
        refusal = f"{who} lacks the permission {permission} over all that this task is about."
        record(action=action, actor=user, request=request, target=task, result="refused", detail=refusal,
               task_id=task.pk)  # fmt: skip
        raise PermissionDenied(f"{refusal} Ask an administrator for a role that has it.")


def source_of(request: HttpRequest | None) -> str | None:
    """The peer's address."""
    return (request.META.get("REMOTE_ADDR") or None) if request is not None else None


def _wanted(
    job: Job,
    user: Actor,
    request: HttpRequest | None,
    params: Mapping[str, Any],
    title_args: Mapping[str, object],
    targets: tuple[Target, ...],
    place: str,
    parent: Task | None,
    facts: Mapping[str, object],
    lanes: tuple[Lane, ...],
) -> Wanted:
    complete = signatures.complete(job.function, params)
    words = {**complete, **title_args}
    try:
        title = clip(job.title.format(**words), 250)
        cancel_note = clip(job.cancel_note.format(**words), 500)
    except (KeyError, IndexError) as error:
        raise BadRequest(f"the title of {job.kind} needs {error} in title_args") from error
    return Wanted(
        job=job,
        params=complete,
        title=title,
        user=user if isinstance(user, User) else None,
        source=source_of(request) if request is not None else parent.source if parent else None,
        targets=tuple({(target.type, target.id): target for target in targets}.values()),
        place=clip(place, 250),
        parent=parent,
        locks=locks_of(job, complete),
        lanes=[*(job.lanes(complete) if job.lanes else ()), *lanes],
        facts=[[clip(label, 40), clip(value, 250)] for label, value in facts.items()],
        cancel_note=cancel_note,
        digest=signatures.digest(job.kind, complete),
    )


def _holder(wanted: Wanted) -> Task | None:
    """The open task that an identical request started; raises TaskConflict when another one holds a lock."""
    holders = in_the_way(wanted.locks)
    if not holders:
        return None
    same = [task for task in holders if task.kind == wanted.job.kind and task.params_hash == wanted.digest]
    if same:
        return same[0]
    raise conflict_with(holders[0])


def locks_of(job: Job, params: Mapping[str, Any]) -> Locks:
    """The locks of a task of this kind with these parameters."""
    return Locks(tuple(job.lock_keys(params)), tuple(job.shared_keys(params)))


def conflict_with(task: Task) -> TaskConflict:
    """The refusal, in words for the user: "vmtest is being migrated (task 41)"."""
    try:
        doing = registry.get_job(task.kind).doing
    except LookupError:
        doing = "being worked on"
    what = f"{task.object_name} is {doing}" if task.object_name else f"“{task.title}” is not finished"
    return TaskConflict(task, f"{what} (task {task.pk}).")


def _create(wanted: Wanted) -> Task:
    """Insert the row with its locks, lanes and targets; behind the gate."""
    first = wanted.targets[0] if wanted.targets else None
    used = occupancy({lane.key for lane in wanted.lanes})
    rows = [TaskLane(key=lane.key, limit=lane.limit, label=clip(lane.label, 200)) for lane in wanted.lanes]
    full = full_lanes(rows, used)
    task = Task.objects.create(
        kind=wanted.job.kind,
        title=wanted.title,
        queue=wanted.job.queue,
        params=wanted.params,
        params_hash=wanted.digest,
        state=State.WAITING if full else State.QUEUED,
        waiting_for=waiting_text(full),
        parent=wanted.parent,
        initiator=wanted.user,
        initiator_name=wanted.user.get_username() if wanted.user else "",
        source=wanted.source,
        object_type=first.type if first else "",
        object_id=first.id if first else None,
        object_name=clip(first.name, 200) if first else "",
        place=wanted.place,
        rev=1,
        phases=phases.planned(wanted.job.phase_names(wanted.params)),
        facts=wanted.facts,
        cancel_note=wanted.cancel_note,
        **({} if full else {"sends": 1, "sent_at": timezone.now()}),
    )
    for row in rows:
        row.task = task
    TaskLane.objects.bulk_create(rows)
    take(task, wanted.locks)
    TaskTarget.objects.bulk_create(
        TaskTarget(
            task=task, object_type=each.type, object_id=each.id, object_name=clip(each.name, 200), word=each.word[:40]
        )
        for each in wanted.targets
    )
    if not full:
        messages.send_after_commit(task.pk, task.queue)
    publish.after_commit(task.pk, task.rev, listed=True, parent_id=task.parent_id)
    return task
