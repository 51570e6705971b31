"""The tasks of a bulk action."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from tasks import registry, signatures
from tasks.choices import State
from tasks.closing import Identity, identity
from tasks.errors import BadRequest, TaskConflict
from tasks.lanes import Lane
from tasks.models import Task, TaskTarget
from tasks.services.enqueueing import Target, enqueue
from tasks.text import clip

_ADVICE = "Retry it when nothing stands in its way."


@dataclass(frozen=True, slots=True)
class Child:
    """A request for one task below another; the fields are those of enqueue()."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    title_args: dict[str, object] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    place: str = ""
    permission_object: Any = None
    facts: dict[str, object] = field(default_factory=dict)


def start_children(parent: Task, children: Iterable[Child], *, at_most: int | None = None) -> list[Task]:
    """Start them in the name of the parent's initiator; see TaskRun.start_children. Call it in a transaction."""
    if at_most is not None and at_most < 1:
        raise BadRequest("at_most must be 1 or more")
    unsettled = (State.FAILED, State.ERRORED, State.CANCELLED, State.LOST)
    settled = {identity(child): child for child in parent.children.exclude(state__in=unsettled)}
    label = f"{at_most} task{'' if at_most == 1 else 's'} of this action"
    lane = Lane(f"children:{parent.pk}", at_most, label) if at_most else None
    return [_start(parent, child, settled, lane) for child in children]


def _start(parent: Task, child: Child, settled: dict[Identity, Task], lane: Lane | None) -> Task:
    job = registry.get_job(child.kind)
    params = signatures.complete(job.function, child.params)
    digest = signatures.digest(child.kind, params)
    first = child.targets[0] if child.targets else None
    same = (child.kind, (first.type, first.id) if first else digest)
    if same in settled:
        return settled[same]
    try:
        task = enqueue(
            child.kind, user=parent.initiator, params=params, title_args=child.title_args, targets=child.targets,
            place=child.place, permission_object=child.permission_object, parent=parent, facts=child.facts,
            lanes=(lane,) if lane else (),
        )  # fmt: skip
        if not task.already_running:
            return task
        reason = f"Task {task.pk} does the same already."
    except (PermissionDenied, TaskConflict) as refusal:
        reason = str(refusal)
    return _refused(parent, child, params, digest, reason)


def _refused(parent: Task, child: Child, params: dict[str, Any], digest: str, reason: str) -> Task:
    """A row that says why this child was not started."""
    job = registry.get_job(child.kind)
    first = child.targets[0] if child.targets else None
    now = timezone.now()
    task = Task.objects.create(
        kind=child.kind, title=clip(job.title.format(**{**params, **child.title_args}), 250), queue=job.queue,
        params=params, params_hash=digest, state=State.FAILED, reason=reason, advice=_ADVICE,
        parent=parent, initiator=parent.initiator, initiator_name=parent.initiator_name, source=parent.source,
        object_type=first.type if first else "", object_id=first.id if first else None,
        object_name=first.name if first else "", place=child.place, rev=1, finished_at=now,
    )  # fmt: skip
    TaskTarget.objects.bulk_create(
        TaskTarget(task=task, object_type=each.type, object_id=each.id, object_name=each.name, word=each.word)
        for each in child.targets
    )
    return task
