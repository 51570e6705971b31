"""Redis goes away: it holds no truth, so nothing is lost, doubled or late."""

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.live import Follower, LiveSocket
from tests.chaos.machine import Machine, frozen, until
from tests.chaos.migration import OPEN, Migration, Tasks
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
QUEUED = 200
PAGES = ("/tasks/", "/infrastructure/nodes/", "/infrastructure/ves/", "/health/")


@pytest.mark.parametrize("how", ["restarted", "away"])
def test_redis_gone_in_mid_migration_with_200_queued_tasks_loses_and_doubles_none(
    dice: Dice,
    how: str,
    panel: Panel,
    password: str,
    machine: Machine,
    query: Asker,
    tasks: Tasks,
    migration: Migration,
    invariants: Invariants,
) -> None:
    redis = machine.pid("redis")
    with ExitStack() as held:
        held.enter_context(machine.held())
        # Four that run hold the four processes of the queue; the others wait behind them as messages in Redis.
        running = query("[enqueue('chaos.work', params={'seconds': 0.0, 'hold': True}).pk for _ in range(4)]")
        for task in running:
            tasks.until_step(task, "Working")
        queued = query(f"[enqueue('chaos.quick', params={{'number': n}}).pk for n in range({QUEUED})]", timeout=120)
        migration.start(bandwidth=32)
        follower = Follower(panel, running[0])
        with follower.connect(timeout=30) as live, ExitStack() as broken:
            migration.in_the_middle(dice, longest=1)
            if how == "restarted":
                os.kill(redis, signal.SIGKILL)
            else:
                broken.enter_context(frozen(redis))
            for page in PAGES:
                assert panel.get(page).status == 200, page
            Panel(panel.port).sign_in("admin", password)
            longest = _follow(follower, live, 2)
            held.close()
            longest = max(longest, _follow(follower, live))
    dice.over()
    print(f"    the page was without news for {longest:.1f} s at most")
    assert longest <= 15, f"the page had no news for {longest:.1f} s while lines were written"

    everything = [*running, *queued, migration.task]
    until(
        lambda: not query(f"Task.objects.filter(pk__in={everything}, state__in={OPEN}).count()"),
        300,
        "the queued tasks did not end",
    )
    ended = query(
        f"list(Task.objects.filter(pk__in={everything}).order_by().values_list('state', 'attempt').distinct())"
    )
    assert ended == [["completed", 1]], ended
    said = query(f"sorted(TaskLine.objects.filter(task__in={queued}).values_list('text', flat=True))")
    assert said == sorted(f"number {number}" for number in range(QUEUED)), "a task was lost or executed twice"
    assert migration.lab.where("vmtest") == [migration.target]


def _follow(follower: Follower, live: LiveSocket, seconds: float = 60) -> float:
    """Receive the running task's log, so long or to its end; the longest pause (s) between two updates."""
    longest, last = 0.0, time.monotonic()
    end = last + seconds
    while not follower.final and last < end:
        follower.take(live, timeout=30)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest
