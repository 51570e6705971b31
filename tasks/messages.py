"""The message that makes a worker look at a task's row. It carries the row's id only; losing it costs time only."""

import os
import time
from typing import Any

import structlog
from celery import shared_task
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tasks.choices import State
from tasks.models import Task

log = structlog.get_logger("mooring.tasks")
PAUSE = 1.0
_pause_until = 0.0


@shared_task(name="tasks.run", bind=True, ignore_result=True)
def run(self: Any, task_id: int) -> None:
    """Run one attempt of the task, if there is one to run: a message delivered twice finds nothing to claim."""
    from tasks.runner import execute

    execute(task_id, worker=f"{self.request.hostname} ({os.getpid()})")


def about_to_send() -> dict[str, Any]:
    """The columns to write with a row whose message goes out after the commit."""
    return {"sends": F("sends") + 1, "sent_at": timezone.now()}


def send_after_commit(task_id: int, queue: str) -> None:
    """Send the message once the row is committed; a failure is left to the sweeper."""

    def deliver() -> None:
        if not send(task_id, queue):
            Task.objects.filter(pk=task_id, state=State.QUEUED).update(sends=0, sent_at=None)

    transaction.on_commit(deliver, robust=True)


def send(task_id: int, queue: str) -> bool:
    """Try once, for at most the broker's socket timeout; whether Redis took the message.

    For a second after a failure nothing is tried, so that starting many tasks waits for a frozen Redis once.
    """
    global _pause_until
    if time.monotonic() < _pause_until:
        return False
    try:
        run.apply_async(args=[task_id], queue=queue, retry=False)
    except Exception as error:
        _pause_until = time.monotonic() + PAUSE
        log.warning("a task's message was not sent; the keeper sends it again", task=task_id, error=str(error))
        return False
    return True
