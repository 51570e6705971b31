"""The database is locked or restarted: the engine's work goes on, its record is written afterwards, nothing hangs."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.machine import Machine, until
from tests.chaos.migration import Migration
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
LOCKED = 30.0
_LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
database.execute("BEGIN " + sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
"""


def test_the_database_away_in_mid_migration_delays_the_record_alone(
    dice: Dice,
    panel: Panel,
    machine: Machine,
    lab: Nodes,
    migration: Migration,
    query: Asker,
    invariants: Invariants,
) -> None:
    """SQLite: another process holds the write lock for 30 s. PostgreSQL: the server is killed and started again."""
    sqlite = query("connection.vendor") == "sqlite"
    migration.start(bandwidth=8)
    other = query("VE.objects.get(name='vm2').pk")
    migration.in_the_middle(dice, longest=2)
    if sqlite:
        with locked(machine, dice.choice(["IMMEDIATE", "EXCLUSIVE"])) as since:
            for page in ("/tasks/", f"/tasks/{migration.task}/", "/infrastructure/nodes/"):
                assert panel.get(page).status == 200, page
            assert Panel(panel.port).get("/account/login/").status == 200
            answer = panel.post(f"/infrastructure/ves/{other}/start/", timeout=40)
            print(f"    a request that writes was answered {answer.status} after {time.monotonic() - since:.1f} s")
            assert answer.status == 503, answer.text[:300]
            assert "database" in answer.text.lower(), "the answer does not say what is wrong"
            until(lambda: lab.where("vmtest") == [migration.target], LOCKED, "the engine's work did not go on")
            assert migration.state() == "running", "the record was written while the database was locked"
            time.sleep(max(0.0, since + LOCKED - time.monotonic()))
    else:
        os.kill(machine.pid("postgres"), dice.choice([signal.SIGINT, signal.SIGQUIT]))
        page = panel.get("/tasks/")
        assert page.status in (200, 503), page.text[:300]
    dice.over()

    assert migration.until_final() == "completed", migration.reason()
    assert query(f"Task.objects.get(pk={migration.task}).attempt") == 1, "a live worker's task was taken over"
    assert lab.where("vmtest") == [migration.target]
    until(lambda: panel.get("/tasks/").status == 200, 60, "pages do not answer")


@contextmanager
def locked(machine: Machine, how: str) -> Iterator[float]:
    """Hold SQLite's write lock from another process; yields since when."""
    command = machine.as_panel(
        str(machine.root / ".venv/bin/python"), "-c", _LOCK, str(machine.var / "db.sqlite3"), how
    )
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    print(f"    locked ({how})")
    try:
        yield time.monotonic()
    finally:
        holder.stdin.close()
        assert holder.wait(timeout=10) == 0
