"""A panel of its own on a scratch database with very many rows, for measuring and trying the pages: web and Redis,
nothing that observes nodes."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
USER = "scale"


@dataclass(frozen=True)
class Panel:
    """Where it is and how to sign in: an administrator."""

    url: str
    password: str
    env: dict[str, str]

    def shell(self, code: str, timeout: float = 900) -> str:
        """What Python code prints, run with the panel's settings."""
        return _run([sys.executable, "-c", f"import django\ndjango.setup()\n{code}"], self.env, timeout)


@contextmanager
def running_panel(nodes: int, ves_each: int, *, database_url: str = "") -> Iterator[Panel]:
    """Start it with so many nodes and VEs; all of it is gone at the end."""
    with ExitStack() as stack:
        var = Path(tempfile.mkdtemp(prefix="mooring-scale-"))
        stack.callback(shutil.rmtree, var, ignore_errors=True)
        port = _free_port()
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "panel.settings",
            "MOORING_VAR": str(var),
            "MOORING_INSTANCE": "scale",
            "MOORING_PORT": str(port),
            "MOORING_HTTPS": "false",
            "MOORING_STATIC_FROM_SOURCE": "1",
            **({"DATABASE_URL": database_url} if database_url else {}),
        }
        for name in ("run", "log", "rrd", "static"):
            (var / name).mkdir()
        _run([sys.executable, "manage.py", "prepare"], env, 120)
        panel = Panel(f"http://localhost:{port}", secrets.token_urlsafe(18), env)
        panel.shell(_ROWS.format(nodes=nodes, ves=ves_each, user=USER, password=panel.password))
        socket_path = str(var / "run" / "redis.sock")
        _start(stack, ["redis-server", "--port", "0", "--unixsocket", socket_path, "--save", ""], env, var)
        web = [sys.executable, "-m", "uvicorn", "panel.asgi:application", "--port", str(port), "--log-level", "warning"]
        _start(stack, web, env, var)
        _wait_for(f"{panel.url}/account/login/")
        yield panel


_ROWS = """
from panel.accounts.models import RoleBinding, User
from panel.accounts.roles import Role
from tests.bench.scale_rows import fill
user = User.objects.create_user({user!r}, password={password!r})
RoleBinding.objects.create(user=user, role=Role.ADMINISTRATOR)
fill({nodes}, {ves})
"""


def _run(argv: list[str], env: dict[str, str], timeout: float) -> str:
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[1]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _start(stack: ExitStack, argv: list[str], env: dict[str, str], var: Path) -> None:
    log = stack.enter_context((var / "log" / f"{Path(argv[0]).name}.log").open("ab"))
    process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
