"""What the live socket tells about tasks: the log of one as it is written, the tasks below it, and the recent ones."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.template.loader import render_to_string

from panel.accounts.models import User
from panel.accounts.permissions import can, can_anywhere
from panel.live.registry import Update, topic
from tasks import dock
from tasks.logbook import news
from tasks.models import Task
from tasks.page import Rights, children_of, regions, rev_of_children, rights_of
from tasks.scopes import Reader, reader_of

# What changes all the time, and is shown by the region of the progress or not at all.
_MOVING = ("progress", "progress_note", "figures", "phases")
_UNSEEN = ("rev", "log_length", "heartbeat", "sends", "sent_at", "worker", "samples_rev")
_STILL = tuple(
    field.attname for field in Task._meta.concrete_fields if field.attname not in (*_MOVING, *_UNSEEN)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Face:
    """Fingerprints of what a page shows of a task besides its log: a region whose one is the same is not sent again."""

    still: int
    moving: int


def face_of(task: Task) -> Face:
    """The task's face now."""
    return Face(_fingerprint(task, _STILL), _fingerprint(task, _MOVING))


def _fingerprint(task: Task, names: tuple[str, ...]) -> int:
    return hash(repr([getattr(task, name) for name in names]))


def task_of(key: str) -> Task:
    """The task; raises LookupError for a key that is no number, DoesNotExist for a task that is not there."""
    if not key.isdigit():
        raise LookupError("A task's topic ends in its number.")
    return Task.objects.get(pk=int(key))


@topic("task", permission="task.view")
class TaskTopic:
    """One task: its status regions as they are, and the log's entries since a revision."""

    templates = ("base.html", "tasks/detail.html", "tasks/_plot.html", "tasks/_bars.html", "tasks/_queue.html")
    subject = staticmethod(task_of)
    variant = staticmethod(rights_of)

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """What happened after revision `after`; None when nothing did."""
        task = task_of(key)
        if not can(user, "task.view", task):
            raise PermissionDenied("Your role does not let you see this task.")
        return TaskTopic.shared(rights_of(user, task), key, after, None)

    @staticmethod
    def shared(rights: Rights, key: str, after: int, mark: Face | None) -> Update | None:
        """The same for everybody with these rights, without the regions that a page with this mark has."""
        task = task_of(key)
        if task.rev <= after:
            return None
        fresh = news(task, after)
        face = face_of(task)
        still = mark is None or face.still != mark.still
        moving = mark is None or still or face.moving != mark.moving
        charted = still or task.samples_rev > after
        context: dict[str, Any] = {"entries": fresh.entries, "still": still, "moving": moving, "charted": charted}
        if moving or charted:
            context |= regions(rights, task, charted=charted)
        if still and (task.waits_for_children or task.is_final):
            context["children"] = children_of(rights.reader, task)
        return Update(
            rev=fresh.rev,
            html=render_to_string("tasks/detail.html#news", context),
            data={"state": task.state, "progress": task.progress},
            final=task.is_final and not fresh.more,
            more=fresh.more,
            mark=face,
        )


@topic("task-children", permission="task.view")
class ChildrenTopic:
    """The tasks below one: the rows that changed. Its revision grows with each of theirs."""

    templates = ("tasks/_children.html", "tasks/_result.html")
    subject = staticmethod(task_of)
    variant = staticmethod(reader_of)

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """The whole table when something changed after `after`."""
        if not can(user, "task.view", task_of(key)):
            raise PermissionDenied("Your role does not let you see this task.")
        return ChildrenTopic.shared(reader_of(user), key, after, None)

    @staticmethod
    def shared(reader: Reader, key: str, after: int, mark: frozenset[tuple[int, int]] | None) -> Update | None:
        """The same, without the rows that a page with this mark has."""
        task = task_of(key)
        if rev_of_children(reader, task) <= after:
            return None
        children = children_of(reader, task)
        rows = children.rows if children else []
        shown = frozenset((row.pk, hash((row.rev, str(row.__dict__["in_line"])))) for row in rows)
        changed = {pk for pk, _ in shown - (mark or frozenset())}
        partial = mark is not None and {pk for pk, _ in mark} == {row.pk for row in rows}
        rev = children.rev if children else after
        context = {"task": task, "children": children, "changed": changed}
        name = "tasks/_children.html#changes" if partial else "tasks/_children.html"
        return Update(rev=rev, html=render_to_string(name, context), mark=shown)


@topic("tasks", permission="task.view")
class TasksTopic:
    """The dock and the indicator. Its revision is a checksum of what they show."""

    templates = ("tasks/_dock.html", "tasks/_indicator.html", "tasks/list.html", "tasks/_row.html")
    variant = staticmethod(reader_of)

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """Both regions; None while they show what the browser has."""
        if not can_anywhere(user, "task.view"):
            raise PermissionDenied("Your role does not let you see tasks.")
        return TasksTopic.shared(reader_of(user), key, after, None)

    @staticmethod
    def shared(reader: Reader, key: str, after: int, mark: Hashable) -> Update | None:
        """The same for all who see the same tasks."""
        shown = dock.read(reader)
        rev = shown.checksum
        if rev == after:
            return None
        html = render_to_string("tasks/_dock.html", {"dock": shown}) + render_to_string(
            "tasks/_indicator.html", {"dock": shown}
        )
        return Update(
            rev=rev, html=html, data={"running": shown.running, "waiting": shown.waiting, "newest": shown.newest}
        )
