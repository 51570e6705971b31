"""Jobs that touch no node. What they did can be counted in their log."""

import time

from django.conf import settings

from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun

BATCH = 100


def _again(run: TaskRun, **params: object) -> Recovery:
    return Recovery.resume()


@job("chaos.quick", title="Quick task {number}", permission="ve.operate", recover=_again)
def quick(run: TaskRun, *, number: int) -> None:
    """One line: how often it stands in the log is how often the task was executed."""
    with run.step("Doing it once"):
        run.line(f"number {number}")


@job("chaos.talk", title="Writing {lines} lines", permission="ve.operate")
def talk(run: TaskRun, *, lines: int, pause: float = 0.0) -> None:
    """Writes the numbers 0 to `lines` - 1, one a line, with so many seconds between each hundred."""
    with run.step("Writing lines"):
        for first in range(0, lines, BATCH):
            run.lines([f"line {number}" for number in range(first, min(first + BATCH, lines))])
            time.sleep(pause)


@job("chaos.work", title="Working for {seconds} s", permission="ve.operate", recover=_again)
def work(run: TaskRun, *, seconds: float, hold: bool = False) -> None:
    """Writes a line every tenth of a second, so long and, with `hold`, as long as the test holds it."""
    with run.step("Working") as step:
        until = time.monotonic() + seconds
        while time.monotonic() < until or (hold and (settings.VAR / "hold").exists()):
            step.line("still working")
            time.sleep(0.1)
