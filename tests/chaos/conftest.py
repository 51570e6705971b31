"""Each fault runs MOORING_CHAOS_REPEAT times, each time with a seed that is printed."""

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.invariants import Invariants
from tests.chaos.panel import Panel
from tests.e2e.conftest import INSTANCE, PORT, ROOT, browser, lab, manage, password, query  # noqa: F401
from tests.e2e.lab import Lab

REPEAT = int(os.environ.get("MOORING_CHAOS_REPEAT", "1"))
SEED = int(os.environ.get("MOORING_CHAOS_SEED", "1"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dice" in metafunc.fixturenames:
        metafunc.parametrize("dice", [SEED * 1000 + n for n in range(REPEAT)], indirect=True, ids=str)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """The randomness of one round; its seed is the test's id."""
    print(f"\n    seed {request.param}")
    return random.Random(request.param)


@pytest.fixture(scope="session")
def panel(password: str) -> Panel:  # noqa: F811
    session = Panel(int(PORT))
    session.sign_in("admin", password)
    return session


@pytest.fixture
def invariants(lab: Lab, query: Callable[[str], Any]) -> Iterator[Invariants]:  # noqa: F811
    """Checked after every fault, by the fixture's end, so that no test can forget it."""
    checker = Invariants(lab, query)
    yield checker
    checker.check()


class Migration:
    """One migration of vmtest, to wherever it is not, slow enough to be hit in the middle."""

    def __init__(self, panel: Panel, lab: Lab, query: Callable[[str], Any]) -> None:  # noqa: F811
        self._panel, self._query, self.lab = panel, query, lab
        self.ve = query("VE.objects.get(name='vmtest').pk")
        [self.source] = lab.where("vmtest")
        self.target = "secondnode1" if self.source == "primary" else "primary"
        self.target_id = query(f"Node.objects.get(name='{self.target}').pk")
        self.task = 0

    def form(self, bandwidth: int) -> dict[str, str]:
        return {
            "target": str(self.target_id),
            "bandwidth_mib": str(bandwidth),
            "max_downtime_ms": "300",
        }

    def start(self, bandwidth: int = 8) -> int:
        answer = self._panel.post(f"/infrastructure/ves/{self.ve}/migrate/", **self.form(bandwidth))
        assert answer.status in (204, 302), f"{answer.status}: {answer.text[:500]}"
        self.task = self._query("Task.objects.filter(kind='ve.migrate').latest('id').pk")
        return self.task

    def state(self) -> str:
        return str(self._query(f"Task.objects.get(pk={self.task}).state"))

    def until_step(self, title: str, timeout: float = 30) -> None:
        """Return when the log announces the step."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._query(f"TaskStep.objects.filter(task={self.task}, title__startswith={title!r}).count()"):
                return
            time.sleep(0.1)
        raise AssertionError(f"task {self.task} did not reach the step {title!r} within {timeout} s")

    def until_final(self, timeout: float = 90) -> str:
        deadline = time.monotonic() + timeout
        while (state := self.state()) in ("waiting", "queued", "running"):
            assert time.monotonic() < deadline, f"task {self.task} is still {state} after {timeout} s"
            time.sleep(0.3)
        return state

    def in_the_middle(self, dice: random.Random, longest: float = 4) -> None:
        """Wait until guest memory is being copied, then a random moment more."""
        self.until_step("Migrate Virtual Environment")
        pause = dice.uniform(0.2, longest)
        time.sleep(pause)
        print(f"    hit the step 'Migrating virtual machine' of task {self.task}, {pause:.2f} s into it")

    def worker_pid(self) -> int:
        worker = str(self._query(f"Task.objects.get(pk={self.task}).worker"))
        found = re.search(r"\((\d+)\)$", worker)
        assert found, f"the task does not say which process runs it: {worker!r}"
        return int(found[1])


@pytest.fixture
def migration(panel: Panel, lab: Lab, query: Callable[[str], Any]) -> Migration:  # noqa: F811
    return Migration(panel, lab, query)


def pid_of(program: str) -> int:
    """The process of one of the panel's programs, such as redis or web, as supervisord reports it."""
    import subprocess

    command = [
        *("setpriv", "--reuid", "mooring", "--regid", "mooring", "--clear-groups", "--inh-caps=-all"),
        *(str(ROOT / ".venv/bin/python"), "-m", "supervisor.supervisorctl", "-c", "setup/supervisord.conf"),
    ]
    env = {
        "PATH": os.environ["PATH"],
        "MOORING_ROOT": str(ROOT),
        "MOORING_VAR": str(ROOT / "var" / INSTANCE),
        "MOORING_HOST": "127.0.0.1",
        "MOORING_PORT": PORT,
    }
    done = subprocess.run([*command, "pid", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return int(done.stdout)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Hold a process still; it is woken whatever happens."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
