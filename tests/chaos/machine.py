"""The panel's processes under test: which they are, how one is held, how all of them are started again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path


class Machine:
    """One instance of the panel on this machine."""

    def __init__(self, root: Path, instance: str, port: str) -> None:
        self.root, self.instance, self.port = root, instance, port
        self.var = root / "var" / instance
        # The seconds by which the clock of each of the panel's processes differs from the machine's.
        self.clock = self.var / "clock"

    def environment(self, *, under_test: bool = False) -> dict[str, str]:
        """What bin/up gives the panel's processes; those under test also get the faults' tasks and a clock to set."""
        found = {
            "PATH": os.environ["PATH"],
            "MOORING_ROOT": str(self.root),
            "MOORING_VAR": str(self.var),
            "MOORING_INSTANCE": self.instance,
            "MOORING_HOST": "127.0.0.1",
            "MOORING_PORT": self.port,
        }
        if under_test:
            found["DJANGO_SETTINGS_MODULE"] = "tests.chaos.load.settings"
        return found

    def as_panel(self, *argv: str) -> list[str]:
        """The command line that runs `argv` as the panel's user."""
        return [
            *("setpriv", "--reuid", "mooring", "--regid", "mooring", "--clear-groups", "--inh-caps=-all"),
            *("--no-new-privs", "--", "env", "HOME=/nonexistent", *argv),
        ]

    def control(self, *argv: str) -> str:
        """What supervisorctl answers."""
        python = str(self.root / ".venv/bin/python")
        command = self.as_panel(python, "-m", "supervisor.supervisorctl", "-c", "setup/supervisord.conf", *argv)
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def pid(self, program: str) -> int:
        """The process of one of the panel's programs, such as redis or web."""
        answer = self.control("pid", program)
        assert answer.isdigit() and int(answer), f"{program} does not run: {answer}"
        return int(answer)

    @property
    def supervisor(self) -> int:
        return int((self.var / "run" / "supervisord.pid").read_text())

    def stop(self) -> None:
        """End the panel, if it runs; the lab is left as it is."""
        if not (self.var / "run" / "supervisord.pid").exists():
            return
        supervisor = self.supervisor
        os.kill(supervisor, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{supervisor}").exists(), 60, "supervisord did not end")

    def start(self, *, under_test: bool) -> None:
        """Start what does not run, by the program that bin/up uses for it, and wait until the panel is healthy."""
        self.set_clock(0)
        self.run("setup/start-panel", under_test=under_test)

    def run(self, *argv: str, under_test: bool = True) -> str:
        environment = self.environment(under_test=under_test)
        done = subprocess.run(argv, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def set_clock(self, seconds: int) -> None:
        """Have the panel's processes see another time than the machine's."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds}\n")
        fresh.chmod(0o644)
        fresh.rename(self.clock)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The tasks that are told to hold go on working as long as this lasts."""
        hold = self.var / "hold"
        hold.touch(mode=0o644)
        try:
            yield
        finally:
            hold.unlink()


@contextlib.contextmanager
def frozen(pids: int | Sequence[int]) -> Iterator[None]:
    """Hold processes still; they are woken whatever happens."""
    numbers = [pids] if isinstance(pids, int) else list(pids)
    for pid in numbers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def until(condition: Callable[[], object], seconds: float, complaint: str, every: float = 0.1) -> float:
    """Wait until `condition()` is true; the seconds it took. AssertionError with the complaint when it is too late."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"{complaint} ({seconds:g} s)"
        time.sleep(every)
    return time.monotonic() - started
