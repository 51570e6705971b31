"""Processes the lab started, known by pid and start time, so that a reused pid is never taken for one of ours."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError


@dataclass(frozen=True)
class Process:
    """A process on the host: its pid and its start time in clock ticks since boot (field 22 of /proc/PID/stat)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that has this pid now, or None when there is none (a zombie counts as none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """True while exactly this process runs."""
        return Process.of(self.pid) == self

    def kill(self, *, timeout: float = 20) -> None:
        """Kills it (signal 9) and waits until it is gone. Raises LabError when it stays after `timeout` seconds."""
        if self.alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
        wait_until(lambda: not self.alive(), timeout, f"process {self.pid} does not end after kill -9")


def only_child(pid: int) -> Process | None:
    """The single child of a process, or None when it has none yet."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return Process.of(int(children[0])) if children else None


def wait_until(condition: Callable[[], bool], timeout: float, failure: str, *, every: float = 0.05) -> None:
    """Polls until the condition holds. Raises LabError(failure) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{failure} (waited {timeout:.0f} s)")
        time.sleep(every)
