"""What the commands share that start a task: in whose name they act, and waiting for the task they started."""

import time
from abc import ABC, abstractmethod
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser

from infrastructure.services.errors import ServiceError
from panel.accounts.models import User
from panel.trust.errors import TrustError
from tasks.errors import TaskConflict
from tasks.models import Task

LOOK_EVERY = 0.5
WAIT_SECONDS = 1200.0


class TaskCommand(BaseCommand, ABC):
    """Calls the service that the form calls, with the same rights, and shows its refusal as it is."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--user", default="admin", help="in whose name it is done and audited (default: %(default)s)"
        )
        parser.add_argument("--wait", action="store_true", help="wait for the task and show its steps")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {options['user']!r}. Name one with --user.")
        try:
            task = self.ask(user, options)
        except (ServiceError, TaskConflict, TrustError, PermissionDenied) as refusal:
            raise CommandError(str(refusal)) from refusal
        if task is not None:
            self.stdout.write(f"Task {task.pk}: {task.title}")
            if options["wait"]:
                self._wait(task)

    @abstractmethod
    def ask(self, user: User, options: dict[str, Any]) -> Task | None:
        """Call the service; None when there is nothing to do."""

    def _wait(self, task: Task) -> None:
        """Show each step as it begins. CommandError when the task does not complete."""
        shown = 0
        end = time.monotonic() + WAIT_SECONDS
        while True:
            task.refresh_from_db()
            for step in task.steps.filter(seq__gt=shown):
                self.stdout.write(f"  {step.title}")
                self.stdout.flush()
                shown = step.seq
            if task.is_final:
                break
            if time.monotonic() > end:
                raise CommandError(f"Task {task.pk} is not finished after {WAIT_SECONDS / 60:.0f} minutes; it goes on.")
            time.sleep(LOOK_EVERY)
        self.stdout.write(f"  {task.get_state_display()}. {task.reason}".rstrip())
        if task.state not in ("completed", "warning"):
            raise CommandError(f"{task.reason} {task.advice}".strip())
