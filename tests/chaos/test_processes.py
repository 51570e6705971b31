"""The panel's own ground: its supervisor, its clock."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.machine import Machine
from tests.chaos.migration import Migration, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
HOUR = 3600


def test_the_supervisor_killed_in_mid_migration_is_started_again_and_the_truth_adopted(
    dice: Dice, panel: Panel, machine: Machine, lab: Nodes, migration: Migration, query: Asker, invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice)
    supervisor, worker, redis = machine.supervisor, migration.worker_pid(), machine.pid("redis")
    os.kill(supervisor, signal.SIGKILL)
    time.sleep(dice.uniform(0, 1))
    machine.run("setup/start-panel")
    dice.over()

    assert machine.supervisor != supervisor
    for pid in (worker, redis):
        assert not Path(f"/proc/{pid}").exists(), "a process of the dead supervisor still runs beside the new ones"
    state, where = migration.until_final(60), lab.where("vmtest")
    print(f"    {state}: {migration.reason()}")
    assert (state, where) in (("completed", [migration.target]), ("failed", [migration.source]))
    assert panel.get("/tasks/").status == 200


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
def test_the_clock_set_by_an_hour_reaps_nobody(
    dice: Dice, offset: int, machine: Machine, query: Asker, migration: Migration, tasks: Tasks, invariants: Invariants
) -> None:
    with machine.held():
        work = query("enqueue('chaos.work', params={'seconds': 0.0, 'hold': True}).pk")
        migration.start()
        migration.in_the_middle(dice, longest=2)
        machine.set_clock(offset)
        time.sleep(11)  # the keeper takes over from a worker that is silent for 10 s
        _assert_clocks(query, work, offset)
        machine.set_clock(0)
        dice.over()
    assert tasks.until_final(work) == "completed"
    assert migration.until_final() == "completed", migration.reason()
    attempts = query(f"list(Task.objects.filter(pk__in=[{work}, {migration.task}]).values_list('attempt', flat=True))")
    assert attempts == [1, 1], "a worker that lives was reaped"


def _assert_clocks(query: Asker, work: int, offset: int) -> None:
    """The processes of the panel really see the other time: it stands in what they write."""
    shown = query(
        f"{{'the worker': TaskLine.objects.filter(task={work}).latest('seq').at.timestamp(), "
        "'the keeper': Beat.objects.get(name='keeper').at.timestamp(), "
        "'the collector': Beat.objects.get(name='collector').at.timestamp()}"
    )
    wrong = {name: at - time.time() for name, at in shown.items() if abs(at - time.time() - offset) > 12}
    assert not wrong, f"not every process follows the clock: {wrong}"
