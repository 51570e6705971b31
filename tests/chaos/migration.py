"""One migration of vmtest, to wherever it is not, slow enough to be hit in the middle."""

import re
from typing import Any

from tests.chaos.asking import Asker
from tests.chaos.machine import until
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

OPEN = ("waiting", "queued", "running")
IN_THE_MIDDLE = "Migrating virtual machine"


class Tasks:
    """What the database says of tasks."""

    def __init__(self, query: Asker) -> None:
        self._query = query

    def value(self, task: int, column: str) -> Any:
        return self._query(f"Task.objects.values_list({column!r}, flat=True).get(pk={task})")

    def until_step(self, task: int, title: str, timeout: float = 90) -> None:
        """Return when the log announces the step, or the line."""
        steps = f"TaskStep.objects.filter(task={task}, title__startswith={title!r}).exists()"
        lines = f"TaskLine.objects.filter(task={task}, text__startswith={title!r}).exists()"
        try:
            until(lambda: self._query(f"{steps} or {lines}"), timeout, f"{title!r} was not reached", 0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._story(task)}") from None

    def until_final(self, task: int, timeout: float = 180) -> str:
        try:
            until(lambda: self.value(task, "state") not in OPEN, timeout, "it did not end", 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._story(task)}") from None
        return str(self.value(task, "state"))

    def _story(self, task: int) -> str:
        """What tells why it is not where it should be."""
        said = [self.value(task, column) for column in ("state", "attempt", "reason", "advice", "worker")]
        return "\n  ".join([f"task {task} {said}", *self.lines(task)])

    def worker_pid(self, task: int) -> int:
        """The process that runs the task."""
        worker = str(self.value(task, "worker"))
        found = re.search(r"\((\d+)\)$", worker)
        assert found, f"the task does not say which process runs it: {worker!r}"
        return int(found[1])

    def lines(self, task: int) -> list[str]:
        return list(
            self._query(f"list(TaskLine.objects.filter(task={task}).order_by('seq').values_list('text', flat=True))")
        )


class Migration:
    """`start` it, wait until it is `in_the_middle`, break something, and see how it ends."""

    def __init__(self, panel: Panel, lab: Nodes, query: Asker) -> None:
        self._panel, self.lab, self.tasks, self._query = panel, lab, Tasks(query), query
        self.ve = query("VE.objects.get(name='vmtest').pk")
        [self.source] = lab.where("vmtest")
        self.target = "secondnode1" if self.source == "primary" else "primary"
        self._numbers = dict(query("list(Node.objects.values_list('name', 'pk'))"))
        self.task = 0
        self._until_online()
        # A panel whose folder was just put back still shows the machine where it was before.
        until(lambda: self._shown_on() == self.source, 30, f"the panel does not show vmtest on {self.source}")

    def form(self, bandwidth: int) -> dict[str, str]:
        return {
            "target": str(self._numbers[self.target]),
            "bandwidth_mib": str(bandwidth),
            "max_downtime_ms": "300",
        }

    def start(self, bandwidth: int = 8) -> int:
        """Begin it at so many MiB/s, as the dialog does; its task."""
        answer = self._panel.post(f"/infrastructure/ves/{self.ve}/migrate/", **self.form(bandwidth))
        assert answer.status in (204, 302), f"{answer.status}: {answer.words}"
        self.task = answer.task
        return self.task

    def _until_online(self) -> None:
        """Until the panel, too, has seen that what the last fault broke is back, and has cleared what it left there."""
        away = "Node.objects.exclude(state='online').exists()"
        left = "Leftover.objects.exists()"
        until(lambda: not self._query(f"{away} or {left}"), 90, "a node is not online, or holds a leftover")

    def _shown_on(self) -> str:
        return str(self._query(f"VE.objects.get(pk={self.ve}).node.name"))

    def state(self) -> str:
        return str(self.tasks.value(self.task, "state"))

    def reason(self) -> str:
        return str(self.tasks.value(self.task, "reason"))

    def until_final(self, timeout: float = 180) -> str:
        return self.tasks.until_final(self.task, timeout)

    def in_the_middle(self, dice: Dice, longest: float = 4) -> None:
        """Wait until the log says that guest memory is being copied, then a random moment more."""
        self.tasks.until_step(self.task, IN_THE_MIDDLE)
        dice.pause(f"'{IN_THE_MIDDLE}'", 0.2, longest)

    def retry(self) -> str:
        """Have the task retried by the page's button; the state it ends in."""
        self._until_online()
        answer = self._panel.post(f"/tasks/{self.task}/retry/")
        assert answer.status in (204, 302), f"the retry was refused with {answer.status}: {answer.words}"
        return self.until_final()

    def worker_pid(self) -> int:
        return self.tasks.worker_pid(self.task)

    def assert_retry_succeeds(self) -> None:
        assert self.retry() == "completed", self.reason()
        assert self.lab.where("vmtest") == [self.target]
