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


@job("sample.lines", title="Telling {count} lines", permission="ve.operate", queue="default")
def lines(run: TaskRun, *, count: int, per_second: float = 0) -> None:
    """Each line is the time at which it was told, in ns; as fast as it goes, or so many a second."""
    begun = time.monotonic()
    with run.step("Telling") as step:
        for number in range(count):
            if per_second:
                time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            step.line(f"{time.time_ns()}")


@job(
    "sample.copy",
    title="Copying {name}",
    permission="ve.operate",
    noun="copy",
    phases=("Prepare", "Copy", "Switch over", "Clean up"),
    cancel_note="{name} stays where it is. What was copied so far is dropped.",
)
def copy(run: TaskRun, *, name: str, seconds: float) -> None:
    """Something that copies in rounds, with all the figures that a page can show."""
    run.phase("Prepare")
    with run.step(f"Checking {name}") as step:
        step.line("there is room")
    run.facts({"Channel": "TLS"})
    run.phase_note("Switch over", "Pause about 250 ms")
    begun, turn, left = time.monotonic(), 1, 6210.0
    with run.step(f"Copying {name}") as step:
        while (passed := time.monotonic() - begun) < seconds:
            if passed > turn * seconds / 4:
                turn, left = turn + 1, left * 0.34
            remaining = left * (1 - 0.9 * (passed % (seconds / 4)) / (seconds / 4))
            run.phase("Copy", f"Iteration {turn}")
            step.progress(
                100 * passed / seconds, f"{remaining:,.0f} MiB left", rate_mib=112 + 5 * (number_of(passed) % 3),
                remaining_mib=remaining, copied_mib=112 * passed, dirty_mib=38 + number_of(passed) % 7,
                expected_pause_ms=250, pause_limit_ms=300, throttle_percent=0, iteration=turn, switch_below_mib=34,
            )  # fmt: skip
            time.sleep(0.05)
    run.phase("Switch over")
    run.point_of_no_return()
    run.phase("Clean up")
    with run.step("Cleaning up"):
        time.sleep(0.1)


def number_of(seconds: float) -> int:
    """Tenths of a second."""
    return int(10 * seconds)


@job("sample.bulk", title="Working on {count} things", permission="ve.operate", noun="action")
def bulk(run: TaskRun, *, names: list[str], seconds: float, at_most: int) -> None:
    from tasks.services import Child

    with run.step("Starting the tasks"):
        run.start_children(
            (Child("sample.copy", {"name": name, "seconds": seconds}, {"name": name}) for name in names),
            at_most=at_most,
        )
