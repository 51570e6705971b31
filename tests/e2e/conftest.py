"""Chromium against the running panel of instance `test` (bin/up --instance test --port 8543 starts it)."""

import fcntl
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("MOORING_INSTANCE", "test")
PORT = os.environ.get("MOORING_PORT", "8543")
URL = f"https://localhost:{PORT}"
ADMIN_PASSWORD = "what the browser tests sign in with"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=30_000)  # a machine may be busy with something else


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield chromium
        chromium.close()


def run_manage(*argv: str, stdin: str = "") -> str:
    """The output of bin/manage, run as the panel's own user."""
    command = [str(ROOT / "bin" / "manage"), "--instance", INSTANCE, *argv]
    # The tests' own settings (hasher, broker) must not reach the panel.
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, input=stdin, capture_output=True, env=env, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_user(name: str, role: str, secret: str) -> str:
    """A user who may sign in at once, without choosing a password first."""
    run_manage(
        "add_user", name, "--role", role, "--if-missing", "--password-stdin", "--keep-password", stdin=f"{secret}\n"
    )
    return name


@pytest.fixture(scope="session")
def password() -> str:
    """The administrator's password: the tests set their own, for the one of bin/up must be changed before all else."""
    keys = ROOT / "var" / INSTANCE / "keys"
    assert keys.exists(), f"start the panel under test first: bin/up --instance {INSTANCE} --port {PORT}"
    with (Path(tempfile.gettempdir()) / f"mooring-{INSTANCE}-password.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second change would end the logins of the tests beside these
        if (keys / "initial_password").exists():
            run_manage("set_password", "admin", "--password-stdin", "--keep-password", stdin=f"{ADMIN_PASSWORD}\n")
    return ADMIN_PASSWORD


class Complaints(list[str]):
    """What the browser complained about: script errors, refused content, failed requests."""

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.append(f"script error: {error}"))
        page.on("dialog", lambda dialog: (self.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, message: ConsoleMessage) -> None:
        # A request that is given up, for a newer one or because the page is left, is an error to htmx.
        known = r"status of (401|403|404|409|422|503)|WebSocket|^htmx:(afterRequest|sendAbort),"
        if message.type == "error" and not re.search(known, message.text):
            self.append(message.text)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Listens to every page of the test; the test fails when the browser complained."""
    found = Complaints()
    yield found
    assert not found


@pytest.fixture
def open_context(browser: Browser, complaints: Complaints) -> Iterator[Callable[..., BrowserContext]]:
    """open_context(**options) → a fresh browser profile whose pages are listened to."""
    contexts: list[BrowserContext] = []

    def open_one(**options: Any) -> BrowserContext:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        # Whatever turns has the whole page painted sixty times a second here, by processors that have other work.
        options.setdefault("reduced_motion", "reduce")
        context = browser.new_context(base_url=URL, ignore_https_errors=True, **options)
        context.on("page", complaints.listen)
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()


def sign_in(page: Page, user: str, secret: str) -> None:
    page.goto("/")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password", exact=True).fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("tree", name="Infrastructure").wait_for()
    page.wait_for_load_state("load")


@pytest.fixture(scope="session")
def signed_in_state(browser: Browser, password: str) -> Any:
    """Cookies of one login, shared by the tests that are not about logging in (logins are rate-limited)."""
    context = browser.new_context(base_url=URL, ignore_https_errors=True)
    sign_in(context.new_page(), "admin", password)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], signed_in_state: Any) -> Page:
    """A page of the administrator, signed in."""
    return open_context(storage_state=signed_in_state).new_page()


@pytest.fixture(scope="session")
def manage() -> Callable[..., str]:
    """manage("shell", "-c", "…") → the output of manage.py, run as the panel's own user."""
    return run_manage


@pytest.fixture(scope="session")
def query(manage: Callable[..., str]) -> Callable[[str], Any]:
    """query("Task.objects.count()") → the value of a Python expression over the panel's models, by way of JSON."""

    def ask(expression: str) -> Any:
        code = (
            "import json; from tasks.models import *; from infrastructure.models import *; "
            f"print('\\n@@' + json.dumps({expression}, default=str))"
        )
        return json.loads(manage("shell", "-c", code).rsplit("@@", 1)[1])

    return ask


def wait_for_all_tasks(query: Callable[[str], Any]) -> None:
    """Return when no task is open."""
    deadline = time.monotonic() + 180
    while query("Task.objects.filter(state__in=['waiting', 'queued', 'running']).count()"):
        assert time.monotonic() < deadline, "tasks are open since 180 s"
        time.sleep(1)


_HOME = """
from infrastructure.models import Node, VE
from infrastructure.services import migration
ve, home = VE.objects.get(name="vmtest"), Node.objects.get(name="primary")
ve.node == home or migration.start(user=None, ve=ve, target=home)
"""


@pytest.fixture
def vmtest_on_primary(manage: Callable[..., str], query: Callable[[str], Any]) -> Iterator[None]:
    """It runs there when the test begins, and afterwards."""

    def bring_home() -> None:
        wait_for_all_tasks(query)
        manage("shell", "-c", _HOME)
        wait_for_all_tasks(query)
        assert query("VE.objects.get(name='vmtest').node.name") == "primary"

    bring_home()
    yield
    bring_home()
