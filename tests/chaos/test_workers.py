"""Workers killed, frozen, and messages delivered twice: nothing is executed twice, nothing stays open."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.machine import frozen, until
from tests.chaos.migration import Migration
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos


@contextlib.contextmanager
def _frozen_between_writes(pid: int, query: Asker) -> Iterator[None]:
    """Held still while it writes nothing: in the middle of a write it would hold SQLite's one lock."""
    for _ in range(20):
        with frozen(pid):
            if query("writable()"):
                yield
                return
        time.sleep(0.05)
    raise AssertionError("the worker never stopped writing")


def test_a_worker_killed_in_mid_migration_changes_nothing_about_the_migration(
    dice: Dice, migration: Migration, query: Asker, invariants: Invariants
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
    dice: Dice, migration: Migration, query: Asker, invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice, longest=2)
    pid = migration.worker_pid()
    with _frozen_between_writes(pid, query):
        until(
            lambda: query(f"Task.objects.get(pk={migration.task}).attempt") >= 2,
            40,
            "the reaper did not take the task over from the frozen worker",
        )
        state = migration.until_final(120)
        before = query(f"[Task.objects.get(pk={migration.task}).rev, Task.objects.get(pk={migration.task}).state]")
    time.sleep(4)

    assert query(f"[Task.objects.get(pk={migration.task}).rev, Task.objects.get(pk={migration.task}).state]") == before
    assert migration.lab.where("vmtest") == [
        migration.target if state in ("completed", "warning") else migration.source
    ]


def test_a_message_delivered_twice_is_executed_once(
    dice: Dice,
    migration: Migration,
    query: Asker,
    invariants: Invariants,
) -> None:
    migration.start(bandwidth=64)
    copies = dice.randint(2, 6)
    assert all(query(f"[send({migration.task}, 'migrate') for _ in range({copies})]"))
    dice.hit(
        f"a {query(f'Task.objects.get(pk={migration.task}).state')} task", f"its message delivered {copies} more times"
    )

    assert migration.until_final() == "completed"

    assert query(f"Task.objects.get(pk={migration.task}).attempt") == 1
    assert query(f"TaskStep.objects.filter(task={migration.task}, title='Starting the process').count()") == 1
    assert migration.lab.where("vmtest") == [migration.target]
