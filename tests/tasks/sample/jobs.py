"""Jobs for a real worker: what a test must know of them they leave in files."""

import os
import time
from pathlib import Path

from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun


def _recover(run: TaskRun, *, folder: str, seconds: float) -> Recovery:
    """The engine went on without the worker."""
    return Recovery.completed()


@job("sample.work", title="Working", permission="ve.operate", lock="sample:{folder}", recover=_recover)
def work(run: TaskRun, *, folder: str, seconds: float) -> None:
    with run.step("Working") as step:
        with (Path(folder) / "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            step.progress(50)
            time.sleep(0.05)
        step.line("worked")


@job("sample.quick", title="Quick", permission="ve.operate")
def quick(run: TaskRun, *, number: int) -> None:
    with run.step("Quick"):
        pass


@job("sample.imports", title="Telling what the worker had imported before it forked", permission="ve.operate")
def imports(run: TaskRun) -> None:
    run.line(Path(f"/proc/{os.getppid()}/maps").read_text().count("libvirt"))
