"""What a job may raise, and what the services of this app raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.models import Task


class TaskError(Exception):
    """Family of all errors of the task engine."""


class JobFailed(TaskError):
    """Raised by a job that could not do what was asked, for a cause outside Mooring's code.

    `reason` is the cause, `advice` the next step; one sentence each, both are shown to the user.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(f"{reason} {advice}".strip())


class JobCancelled(TaskError):
    """Raised inside a job when somebody asked to cancel it. A job lets it pass."""


class Fenced(TaskError):
    """This attempt is over: its worker was thought dead and another one took the task. Nothing was written."""


class TaskConflict(TaskError):
    """Another task holds what this request needs; `task` is the one that does."""

    def __init__(self, task: Task, words: str) -> None:
        self.task = task
        super().__init__(words)


class NotPossible(TaskError):
    """The task's state rules this out; the text says why."""


class BadRequest(TaskError, ValueError):
    """The parameters do not fit the job's signature: a fault of the calling code."""


class UnknownJob(TaskError, LookupError):
    """No app registers a job, or an undo, of this name."""
