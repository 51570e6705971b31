"""What the panel stands on goes away: Redis, the browser's connection, a node's network."""

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.chaos.conftest import Migration, frozen, pid_of
from tests.chaos.invariants import Invariants
from tests.chaos.panel import Panel
from tests.e2e.conftest import URL, sign_in
from tests.e2e.lab import Lab

pytestmark = pytest.mark.chaos


def page_times(panel: Panel, paths: list[str], rounds: int = 5) -> float:
    """Median seconds of a page."""
    times = []
    for _ in range(rounds):
        for path in paths:
            started = time.monotonic()
            assert panel.get(path).status == 200
            times.append(time.monotonic() - started)
    return statistics.median(times)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_redis_away_during_a_migration_stops_neither_task_nor_pages(
    dice: random.Random, how: str, panel: Panel, migration: Migration, invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice)
    redis = pid_of("redis")
    if how == "killed":
        os.kill(redis, signal.SIGKILL)
        assert panel.get("/tasks/").status == 200
        state = migration.until_final()
    else:
        with frozen(redis):
            assert panel.get("/tasks/").status == 200
            assert panel.get("/infrastructure/nodes/").status == 200
            state = migration.until_final()

    assert state == "completed"
    assert migration.lab.where("vmtest") == [migration.target]


def test_a_browser_cut_off_in_mid_log_misses_nothing(
    dice: random.Random,
    browser: Browser,
    password: str,
    migration: Migration,
    query: Callable[[str], Any],
    invariants: Invariants,
) -> None:
    context = browser.new_context(base_url=URL, ignore_https_errors=True)
    page = context.new_page()
    sign_in(page, "admin", password)
    task = migration.start()
    page.goto(f"/tasks/{task}/")
    migration.in_the_middle(dice, longest=1)
    for _ in range(3):
        context.set_offline(True)
        time.sleep(dice.uniform(0.2, 2.5))
        context.set_offline(False)
        time.sleep(dice.uniform(0.2, 1))
    expect(page.locator("#task-status")).to_contain_text("Completed", timeout=90_000)

    shown = page.locator("#log-steps > *").evaluate_all("rows => rows.map(row => row.id)")
    steps = query(f"['step-%d' % s.pk for s in TaskStep.objects.filter(task={task})]")
    lines = query(f"['line-%d' % l.pk for l in TaskLine.objects.filter(task={task})]")
    rows = [row for row in shown if row.startswith(("step-", "line-"))]
    assert sorted(rows) == sorted(steps + lines), "rows are missing or doubled"
    order = query(
        f"[r[1] for r in sorted([(s.seq, 'step-%d' % s.pk) for s in TaskStep.objects.filter(task={task})]"
        f" + [(l.seq, 'line-%d' % l.pk) for l in TaskLine.objects.filter(task={task})])]"
    )
    assert rows == order
    context.close()


@pytest.fixture
def healed(lab: Lab) -> Iterator[None]:
    yield
    lab.run("heal", "secondnode2")


def test_a_node_cut_off_is_shown_as_such_and_slows_no_page(
    dice: random.Random, panel: Panel, lab: Lab, query: Callable[[str], Any], invariants: Invariants, healed: None
) -> None:
    node = "Node.objects.get(name='secondnode2')"
    paths = ["/infrastructure/nodes/", f"/infrastructure/nodes/{query(node + '.pk')}/", "/tasks/"]
    usual = page_times(panel, paths)
    time.sleep(dice.uniform(0, 3))
    lab.run("cut", "secondnode2")
    cut = time.monotonic()
    while query(f"{node}.state") != "unreachable":
        assert time.monotonic() - cut < 15, "the node is not marked 15 s after it was cut off"
        time.sleep(0.3)
    print(f"    marked after {time.monotonic() - cut:.1f} s")
    during = page_times(panel, paths)

    page = panel.get(paths[0]).text
    assert 'data-state="unreachable"' in page, "the list does not say that the node is without contact"
    print(f"    pages: median {usual * 1000:.0f} ms before, {during * 1000:.0f} ms while cut off")
    assert during < max(3 * usual, 1.0), "pages wait for the node that does not answer"
    lab.run("heal", "secondnode2")
    healed_at = time.monotonic()
    while query(f"{node}.state") != "online":
        assert time.monotonic() - healed_at < 45, "the node is not back 45 s after its network is"
        time.sleep(0.5)
    assert 'data-state="unreachable"' not in panel.get(paths[0]).text
