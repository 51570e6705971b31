"""Browsers lose their line, or do not read: each sees the whole log once, in order, and costs no other anything."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from playwright.sync_api import Browser, expect

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.live import Follower, LiveSocket
from tests.chaos.machine import Machine
from tests.chaos.migration import Migration, Tasks
from tests.chaos.panel import Panel
from tests.chaos.report import Dice
from tests.e2e.conftest import URL

pytestmark = pytest.mark.chaos
DISCONNECTS, LINES, PAGES = 1000, 100_000, 4
STALLED = 8
MIB = 1 << 20
_LINES = "list(TaskLine.objects.filter(task={0}).order_by('seq').values_list('pk', flat=True))"


def test_a_browser_cut_off_in_mid_log_misses_nothing(
    dice: Dice,
    browser: Browser,
    signed_in: dict[str, str],
    migration: Migration,
    query: Asker,
    invariants: Invariants,
) -> None:
    context = browser.new_context(base_url=URL, ignore_https_errors=True, reduced_motion="reduce")
    context.add_cookies([{"name": name, "value": value, "url": URL} for name, value in signed_in.items()])
    page = context.new_page()
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


def test_a_thousand_disconnects_over_a_hundred_thousand_lines_lose_and_double_none(
    dice: Dice, panel: Panel, query: Asker, tasks: Tasks, invariants: Invariants
) -> None:
    """Four browsers, each with a task of its own that writes meanwhile."""
    talk = f"enqueue('chaos.talk', params={{'lines': {LINES // PAGES}, 'pause': 0.05}}).pk"
    numbers = query(f"[{talk} for _ in range({PAGES})]")
    for task in numbers:
        tasks.until_step(task, "Writing lines")
    dice.hit("'Writing lines'", f"{DISCONNECTS} times")

    def follow(task: int, seed: int) -> Follower:
        random, follower = Random(seed), Follower(panel, task)
        for _ in range(DISCONNECTS // PAGES):
            with follower.connect(timeout=30) as live:
                # Some are cut before anything came, some in mid-stream; all of them without a goodbye.
                for _ in range(0 if follower.final else random.choice([0, 1, 1, 2])):
                    follower.take(live, timeout=30)
                    if follower.final:
                        break
        with follower.connect(timeout=30) as live:
            while not follower.final:
                follower.take(live, timeout=30)
        return follower

    with ThreadPoolExecutor(PAGES) as pool:
        followers = list(pool.map(follow, numbers, [dice.randint(0, 10**9) for _ in numbers]))
    dice.over()

    for task, follower in zip(numbers, followers, strict=True):
        assert tasks.until_final(task) == "completed"
        follower.assert_complete(query(_LINES.format(task)))
        assert len(follower.lines) == LINES // PAGES


def test_browsers_that_stop_reading_cost_little_are_dropped_and_read_on_later(
    dice: Dice, panel: Panel, machine: Machine, query: Asker, tasks: Tasks, invariants: Invariants
) -> None:
    task = query(f"enqueue('chaos.talk', params={{'lines': {LINES // 5}}}).pk")
    assert tasks.until_final(task, 120) == "completed"
    work = query("enqueue('chaos.work', params={'seconds': 5.0}).pk")
    with (reader := Follower(panel, task)).connect() as live:  # what any reader costs is there already
        while not reader.final:
            reader.take(live)
    web = machine.pid("web")
    before = _memory(web)
    tasks.until_step(work, "Working")
    dice.pause("'Working', of another task", 0, 1)
    stalled = [Follower(panel, task) for _ in range(STALLED)]
    lives = [each.connect(receive_buffer=4096) for each in stalled]
    most, since = 0.0, time.monotonic()
    while _open_sockets(lives) and time.monotonic() - since < 60:
        most = max(most, (_memory(web) - before + _unsent(lives)) / STALLED)
        time.sleep(0.25)
    print(f"    {most / MIB:.2f} MiB each, dropped after {time.monotonic() - since:.1f} s")
    assert not _open_sockets(lives), "a browser that does not read is still connected after a minute"
    assert most <= 4 * MIB, f"a browser that does not read costs {most / MIB:.1f} MiB"
    for live in lives:
        live.cut()

    expected = query(_LINES.format(task))
    dice.over()
    for follower in stalled[:2]:
        with follower.connect() as live:
            while not follower.final:
                follower.take(live)
        follower.assert_complete(expected)


def _memory(pid: int) -> int:
    """Bytes of the process's own memory."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def _rows(lives: list[LiveSocket]) -> list[list[str]]:
    """The server's ends of these connections in the kernel's table: those that are established."""
    ports = {live.port for live in lives}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if int(row[2].rpartition(":")[2], 16) in ports and row[3] == "01"]


def _open_sockets(lives: list[LiveSocket]) -> int:
    return len(_rows(lives))


def _unsent(lives: list[LiveSocket]) -> int:
    """Bytes that the kernel keeps for them on the server's side."""
    return sum(int(row[4].partition(":")[0], 16) for row in _rows(lives))
