"""What the live socket tells about tasks: one task's log as it is written, and the list of recent ones."""

from django.core.exceptions import PermissionDenied
from django.template.loader import render_to_string

from panel.accounts.models import User
from panel.accounts.permissions import can, can_anywhere
from panel.live.registry import Update, topic
from tasks import dock
from tasks.logbook import news
from tasks.models import Task
from tasks.page import keep_bindings, regions


@topic("task", permission="task.view")
class TaskTopic:
    """One task: its status regions as they are, and the log's entries since a revision."""

    @staticmethod
    def subject(key: str) -> Task:
        """The task; raises LookupError for a key that is no number, DoesNotExist for a task that is not there."""
        if not key.isdigit():
            raise LookupError("A task's topic ends in its number.")
        return Task.objects.select_related("parent").prefetch_related("targets").get(pk=int(key))

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """What happened after revision `after`; None when nothing did."""
        task = TaskTopic.subject(key)
        if not can(user, "task.view", task):
            raise PermissionDenied("Your role does not let you see this task.")
        if task.rev <= after:
            return None
        keep_bindings(user)
        fresh = news(task, after)
        html = render_to_string("tasks/detail.html#news", {**regions(user, task), "entries": fresh.entries})
        return Update(
            rev=fresh.rev,
            html=html,
            data={"state": task.state, "progress": task.progress},
            final=task.is_final and not fresh.more,
            more=fresh.more,
        )


@topic("tasks", permission="task.view")
class TasksTopic:
    """The dock and the indicator. Its revision is a checksum of what they show."""

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """Both regions; None while they show what the browser has."""
        if not can_anywhere(user, "task.view"):
            raise PermissionDenied("Your role does not let you see tasks.")
        shown = dock.read()
        rev = shown.checksum
        if rev == after:
            return None
        html = render_to_string("tasks/_dock.html", {"dock": shown}) + render_to_string(
            "tasks/_indicator.html", {"dock": shown}
        )
        return Update(
            rev=rev, html=html, data={"running": shown.running, "waiting": shown.waiting, "newest": shown.newest}
        )
