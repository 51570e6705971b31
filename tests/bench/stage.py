"""A panel of its own for measuring: Redis, web, workers and keeper as processes, in a folder that goes with it.

The processes have the sample jobs of tests/tasks/sample besides the panel's own. Nothing here needs Django set up in
the calling process; what does is run by `python` as a process of the stage.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tests.bench import turns
from tests.bench.gates import Gate, Result

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "tests.tasks.sample.settings"
START_SECONDS = 60.0


class Stage:
    """The folder, the port and the processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.socket = folder / "redis.sock"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "MOORING_VAR": str(folder),
            "MOORING_INSTANCE": "bench",
            "MOORING_SECRET_KEY": "only-for-measuring-" + "x" * 40,
            "MOORING_HTTPS": "0",
            "MOORING_HOST": "127.0.0.1",
            "MOORING_PORT": str(self.port),
            "MOORING_STATIC_FROM_SOURCE": "1",
            "MOORING_REDIS_URL": f"unix://{self.socket}",
            "DATABASE_URL": os.environ.get("MOORING_BENCH_DATABASE_URL", f"sqlite:///{folder / 'db.sqlite3'}"),
        }
        self.environment.pop("MOORING_BROKER_URL", None)

    def start(self, *argv: str, name: str) -> subprocess.Popen[bytes]:
        """Start a process of the stage; its output goes to NAME.log, its id to NAME.pid."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        (self.folder / f"{name}.pid").write_text(str(process.pid))
        self._processes.append(process)
        return process

    def python(self, module: str, *argv: str, timeout: float = 600) -> str:
        """Run a module with the stage's settings; its output. RuntimeError with what it said when it fails."""
        command = [sys.executable, "-m", module, *argv]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def results(self, module: str, probe: str, rounds: int, gates: Iterable[Gate]) -> Iterator[Result]:
        """Run one probe of a module, which prints Turns as JSON; a Result for each gate."""
        found = turns.read(self.python(module, probe, str(rounds)))
        for gate in gates:
            yield found.result(gate)

    def start_redis(self) -> None:
        """Its own instance, which keeps nothing."""
        storing = ("--port", "0", "--save", "", "--dir", str(self.folder))
        self.start("redis-server", "--unixsocket", str(self.socket), *storing, name="redis")

    def open(self, *, workers: int = 2) -> None:
        """Make the database and start everything; returns when pages are answered and the worker takes tasks."""
        self.python("django", "migrate", "-v", "0")
        self.python("django", "createcachetable")
        self.start_redis()
        self.start(
            sys.executable, "-m", "uvicorn", "panel.asgi:application", "--host", "127.0.0.1", "--port", str(self.port),
            "--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--no-access-log", name="web",
        )  # fmt: skip
        self.start(
            sys.executable, "-m", "celery", "-A", "panel", "worker", "-Q", "default,migrate", "-n", "w@bench",
            "--concurrency", str(workers), "--prefetch-multiplier", "1", "--without-gossip", "--without-mingle",
            "--loglevel", "WARNING", name="worker",
        )  # fmt: skip
        self.start(sys.executable, "manage.py", "keep", name="keeper")
        until = time.monotonic() + START_SECONDS
        while not (self._answers() and b"ready" in (self.folder / "worker.log").read_bytes()):
            # The worker's own "ready" is logged at INFO; its banner shows that it consumes.
            if b"[queues]" in (self.folder / "worker.log").read_bytes() and self._answers():
                break
            if time.monotonic() > until:
                raise RuntimeError(f"the panel to measure did not start; its logs are in {self.folder}")
            time.sleep(0.1)

    def close(self) -> None:
        """End what was started."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status < 600)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


@contextlib.contextmanager
def stage(*, workers: int = 2) -> Iterator[Stage]:
    """A running panel to measure; everything it wrote is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    made = Stage(folder)
    try:
        made.open(workers=workers)
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def say(text: str, *, to: IO[str] = sys.stderr) -> None:
    """Tell whoever waits what is being measured."""
    print(text, file=to, flush=True)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
