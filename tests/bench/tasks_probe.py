"""What tests/bench/tasks.py measures, as processes of its stage.

`python -m tests.bench.tasks_probe post|lines|dom ROUNDS` prints Turns as JSON.
"""

import http.client
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import django

django.setup()

import redis  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402

from panel.accounts.models import RoleBinding, User  # noqa: E402
from tasks import messages  # noqa: E402
from tasks.models import Task, TaskLine, TaskStep  # noqa: E402
from tasks.runner import TaskRun, claim  # noqa: E402
from tasks.services import enqueue  # noqa: E402
from tests.bench import cpu  # noqa: E402
from tests.bench.turns import Turns  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(os.environ["MOORING_VAR"])
PORT = int(os.environ["MOORING_PORT"])
CSRF = "x" * 32
LINES = 600
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def admin() -> User:
    """The administrator of the stage."""
    user, made = User.objects.get_or_create(username="bench")
    if made:
        RoleBinding.objects.create(user=user, role="administrator")
    return user


def session_of(user: User) -> str:
    """A signed-in session, as the login makes it."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def post_to_step(rounds: int) -> Turns:
    """ms from a POST until its task's first step can be read; beside it a bare BLPOP worker that inserts a row."""
    from infrastructure.models import VE
    from tests.bench.scale_rows import fill

    if not VE.objects.exists():
        fill(1, rounds + 3)
    session = session_of(admin())
    bare = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_worker"], start_new_session=True)
    client = redis.from_url(settings.REDIS_URL)
    table = sqlite3.connect(FOLDER / "bare.sqlite3", isolation_level=None, timeout=20)
    table.execute("PRAGMA journal_mode=WAL")
    table.execute("CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY)")
    found = Turns()
    try:
        for number, ve in enumerate(VE.objects.order_by("pk")[: rounds + 3]):
            found.ours(lambda ve=ve: [_post(session, ve.pk)], cpu.of_stage)
            found.theirs(lambda number=number: [_push(client, table, number)], lambda: cpu.of_trees([bare.pid]))
            if number == 2:  # they paid for what is only opened once
                found = Turns()
            time.sleep(0.15)
    finally:
        bare.terminate()
        bare.wait()
    return found


def _post(session: str, ve_id: int) -> float:
    known = TaskStep.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    connection = http.client.HTTPConnection("localhost", PORT)
    headers = {
        "Cookie": f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}",
        "Origin": settings.ALLOWED_ORIGINS[0],
        "Content-Type": "application/x-www-form-urlencoded",
        "HX-Request": "true",
    }
    body = urlencode({"csrfmiddlewaretoken": CSRF})
    begun = time.perf_counter()
    connection.request("POST", f"/infrastructure/ves/{ve_id}/start/", body, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 204:
        raise RuntimeError(f"the POST was answered {answer.status}")
    while not TaskStep.objects.filter(pk__gt=known).exists():
        time.sleep(0.0005)
        if time.perf_counter() - begun > 20:
            raise RuntimeError("no step appeared")
    return 1000 * (time.perf_counter() - begun)


def _push(client: "redis.Redis", table: sqlite3.Connection, number: int) -> float:
    begun = time.perf_counter()
    client.rpush("bare", number)
    while table.execute("SELECT 1 FROM row WHERE id = ?", (number,)).fetchone() is None:
        time.sleep(0.0005)
    return 1000 * (time.perf_counter() - begun)


def lines_a_second(rounds: int) -> Turns:
    """Lines a second that one job writes one by one; beside it bare inserts, one transaction each, into such a file."""
    found = Turns()
    table = sqlite3.connect(FOLDER / "lines.sqlite3", isolation_level=None)
    table.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE line (seq INT, text TEXT)")
    messages.send = lambda task_id, queue: True  # run here, not by the worker
    for _ in range(rounds):
        found.ours(_tell_lines, time.process_time)
        found.theirs(lambda: _insert_lines(table), time.process_time)
    return found


def _tell_lines() -> list[float]:
    task = enqueue("sample.imports")
    claimed = claim(task.pk, "bench")
    if claimed is None:
        raise RuntimeError("the worker took the task")
    run = TaskRun(claimed)
    with run.step("Telling") as step:
        begun = time.perf_counter()
        for number in range(LINES):
            step.line(f"line {number} of a log, as long as most of them are")
        took = time.perf_counter() - begun
    if TaskLine.objects.filter(task=task).count() != LINES:
        raise RuntimeError("lines were lost")
    Task.objects.filter(pk=task.pk).update(state="completed")
    return [LINES / took]


def _insert_lines(table: sqlite3.Connection) -> list[float]:
    begun = time.perf_counter()
    for number in range(LINES):
        table.execute("BEGIN IMMEDIATE")
        table.execute("INSERT INTO line VALUES (?, ?)", (number, "line of a log, as long as most of them are"))
        table.execute("COMMIT")
    return [LINES / (time.perf_counter() - begun)]


WATCH = """
() => {
  window.seen = [];
  new MutationObserver((records) => {
    const at = performance.timeOrigin + performance.now();
    for (const record of records)
      for (const node of record.addedNodes)
        if (node.classList?.contains("line")) window.seen.push([node.querySelector(".op").textContent, at]);
  }).observe(document.getElementById("log-steps"), { childList: true });
}
"""


def line_to_dom(rounds: int) -> Turns:
    """ms from telling a line in a worker until it stands in the page; beside it Redis publish to subscribe."""
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's driver runs an event loop in this thread
    found = Turns()
    session = session_of(admin())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        url = f"http://localhost:{PORT}"
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
        page = context.new_page()
        for number in range(rounds + 1):
            found.ours(lambda: _lines_in(page, url), cpu.of_stage)
            found.theirs(lambda: _round_trips(1.5), lambda: cpu.of_stage("redis"))
            if not number:  # the first one compiles templates
                found = Turns()
        browser.close()
    return found


def _lines_in(page: "Page", url: str, per_second: int = 100, seconds: int = 3) -> list[float]:
    task = enqueue("sample.lines", user=admin(), params={"count": per_second * seconds, "per_second": per_second})
    page.goto(f"{url}/tasks/{task.pk}/")
    page.evaluate(WATCH)
    page.locator("#task-status [data-state=completed]").wait_for(timeout=30_000)
    seen = [(int(text), at) for text, at in page.evaluate("window.seen")]
    told = set(map(int, TaskLine.objects.filter(task=task).values_list("text", flat=True)))
    in_page = page.locator("#log-steps .line").count()
    if in_page != len(told):
        raise RuntimeError(f"{len(told)} lines were told and {in_page} are in the page")
    return [at - text / 1e6 for text, at in seen]


def _round_trips(seconds: float) -> list[float]:
    client = redis.from_url(settings.REDIS_URL)
    trips: list[float] = []
    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("trip")
        listener.get_message(timeout=1)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.perf_counter()
            client.publish("trip", "x")
            while listener.get_message(timeout=1) is None:
                pass
            trips.append(1000 * (time.perf_counter() - begun))
            time.sleep(0.1)
    return trips


PROBES: dict[str, Callable[[int], Turns]] = {"post": post_to_step, "lines": lines_a_second, "dom": line_to_dom}

if __name__ == "__main__":
    print(PROBES[sys.argv[1]](int(sys.argv[2])).json())
