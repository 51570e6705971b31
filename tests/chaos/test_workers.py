"""Workers killed, frozen, and messages delivered twice: nothing is executed twice, nothing stays open."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.conftest import Migration, frozen
from tests.chaos.invariants import Invariants
from tests.chaos.panel import Panel
from tests.e2e.lab import Lab

pytestmark = pytest.mark.chaos


def lines_with(query: Callable[[str], Any], task: int, text: str) -> int:
    return int(query(f"TaskLine.objects.filter(task={task}, text__contains={text!r}).count()"))


def test_a_worker_killed_in_mid_migration_changes_nothing_about_the_migration(
    dice: random.Random, migration: Migration, query: Callable[[str], Any], invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice)
    os.kill(migration.worker_pid(), signal.SIGKILL)

    state = migration.until_final(120)

    assert query(f"Task.objects.get(pk={migration.task}).attempt") >= 2, "nobody took the task over"
    where = migration.lab.where("vmtest")
    assert (state, where) in (
        ("completed", [migration.target]),
        ("warning", [migration.target]),
        ("failed", [migration.source]),
    )


def test_a_worker_frozen_past_the_reaper_and_woken_writes_nothing(
    dice: random.Random, migration: Migration, query: Callable[[str], Any], invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice, longest=2)
    pid = migration.worker_pid()
    with frozen(pid):
        deadline = time.monotonic() + 40
        while query(f"Task.objects.get(pk={migration.task}).attempt") < 2:
            assert time.monotonic() < deadline, "the reaper did not take the task over from the frozen worker"
            time.sleep(0.5)
        state = migration.until_final(120)
        before = query(f"[Task.objects.get(pk={migration.task}).rev, Task.objects.get(pk={migration.task}).state]")
    time.sleep(4)

    assert query(f"[Task.objects.get(pk={migration.task}).rev, Task.objects.get(pk={migration.task}).state]") == before
    assert migration.lab.where("vmtest") == [
        migration.target if state in ("completed", "warning") else migration.source
    ]


def test_a_message_delivered_twice_is_executed_once(
    dice: random.Random,
    migration: Migration,
    manage: Callable[..., str],
    query: Callable[[str], Any],
    invariants: Invariants,
) -> None:
    migration.start(bandwidth=64)
    copies = dice.randint(2, 6)
    manage(
        "shell", "-c", f"from tasks.messages import send; [send({migration.task}, 'migrate') for _ in range({copies})]"
    )
    print(f"    delivered {copies} more times")

    assert migration.until_final() == "completed"

    assert query(f"Task.objects.get(pk={migration.task}).attempt") == 1
    assert query(f"TaskStep.objects.filter(task={migration.task}, title='Starting the process').count()") == 1
    assert migration.lab.where("vmtest") == [migration.target]


def test_fifty_identical_requests_at_once_are_one_task(
    dice: random.Random,
    panel: Panel,
    lab: Lab,
    query: Callable[[str], Any],
    migration: Migration,
    invariants: Invariants,
) -> None:
    before = query("Task.objects.count()")
    path, form = f"/infrastructure/ves/{migration.ve}/migrate/", migration.form(bandwidth=32)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: panel.copy().post(path, **form), range(50)))

    assert {answer.status for answer in answers} <= {204, 302}, [(a.status, a.text[:200]) for a in answers]
    assert query("Task.objects.count()") - before == 1
    migration.task = query("Task.objects.latest('id').pk")
    assert migration.until_final() == "completed"
    assert lab.where("vmtest") == [migration.target]
