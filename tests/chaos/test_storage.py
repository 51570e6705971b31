"""The storage's daemons die, hang and come back: told in time, no page waits, nothing is left behind."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.machine import frozen, until
from tests.chaos.migration import Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice
from tests.e2e.lab import NODES

pytestmark = pytest.mark.chaos
_PAGES = ("/storage/", "/storage/disks/", "/storage/datastores/")
NOTICEABLE = 2.0  # seconds; a page that asked a hung monitor would take at least as long as one deadline


@contextlib.contextmanager
def hung_monitors(lab: Nodes, *nodes: str) -> Iterator[None]:
    """They hold their connections and answer nothing."""
    with contextlib.ExitStack() as stack:
        for node in nodes:
            for pid in lab.processes(node, "ceph-mon").values():
                stack.enter_context(frozen(pid))
        yield


def _state(query: Asker) -> str:
    return str(query("Cluster.objects.get().state"))


def _health(query: Asker) -> str:
    return str(query("Cluster.objects.get().status['health']"))


def _disks_up(query: Asker) -> int:
    return int(query("Disk.objects.filter(up=True).count()"))


def test_a_disk_that_dies_is_told_and_the_cluster_heals(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, invariants: Invariants
) -> None:
    number, disks = dice.choice(query("list(Disk.objects.values_list('number', flat=True))")), _disks_up(query)
    print(f"    disk {number}")
    lab.run("disk-off", str(number))
    try:
        took = until(lambda: _disks_up(query) == disks - 1, 30, "the loss of the disk is not told within 30 s")
        print(f"    told after {took:.1f} s")
        assert _health(query) != "HEALTH_OK"
        assert f"CS{number}" in panel.get("/storage/disks/?status=attention").text
    finally:
        lab.run("disk-on", str(number))
    dice.over()
    until(lambda: _disks_up(query) == disks, 30, "the disk's return is not told within 30 s")
    until(lambda: _health(query) == "HEALTH_OK", 90, "the cluster did not heal")


def test_hung_monitors_are_told_refuse_work_and_slow_no_page(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, invariants: Invariants
) -> None:
    usual = {path: _seconds(panel, path) for path in _PAGES}
    with hung_monitors(lab, *NODES):
        took = until(lambda: _state(query) == "unreachable", 30, "the silence of the cluster is not told")
        print(f"    told after {took:.1f} s")
        for path in _PAGES:
            assert _seconds(panel, path) < usual[path] + NOTICEABLE, f"{path} waits for the monitors"
        answer = panel.post("/storage/datastores/add/", name="chaos", use="vm", tier="2", mode="r2", domain="host")
        assert answer.status in (409, 422), answer.status
        assert "has not answered" in answer.text or "does not answer" in answer.text
        time.sleep(dice.uniform(0, 4))
    dice.over()
    until(lambda: _state(query) == "online", 60, "the cluster is not back")


def test_one_monitor_of_three_may_be_lost(dice: Dice, lab: Nodes, query: Asker, invariants: Invariants) -> None:
    node = dice.choice(NODES)
    print(f"    the monitor of {node}")
    down = "[d['name'] for d in Cluster.objects.get().status['daemons'] if d['kind'] == 'mon' and not d['up']]"
    with hung_monitors(lab, node):
        # A leader that hangs stops the others until its lease is over, and they have chosen another.
        until(lambda: query(down) == [node], 60, "the lost monitor is not told")
        end = time.monotonic() + dice.uniform(10, 20)
        while time.monotonic() < end:
            assert _state(query) == "online", "two of three monitors are enough"
            time.sleep(0.5)
    dice.over()
    until(lambda: query(down) == [], 60, "the monitor's return is not told")


def test_a_worker_killed_while_it_makes_a_datastore_leaves_all_of_it_or_nothing(
    dice: Dice, panel: Panel, query: Asker, tasks: Tasks, invariants: Invariants
) -> None:
    mode, domain = dice.choice([("r2", "host"), ("r3", "osd"), ("ec1-2", "host")])
    answer = panel.post("/storage/datastores/add/", name="chaos", use="vm", tier="1", mode=mode, domain=domain)
    assert answer.status == 302, answer.text[-2000:]
    task = query("Task.objects.filter(kind='storage.datastore.create').latest('pk').pk")
    step = dice.choice(["Checking", "Making the rule", "Making the pool", "Recording", "Attaching"])
    tasks.until_step(task, step)
    dice.pause(repr(step), 0, 0.3)
    with contextlib.suppress(ProcessLookupError):
        os.kill(tasks.worker_pid(task), signal.SIGKILL)
    dice.over()
    state = tasks.until_final(task, 120)
    print(f"    killed during {step!r}: {state}")
    assert state in ("completed", "warning")
    number = query("Datastore.objects.get(name='chaos', state='ready').pk")
    assert panel.post(f"/storage/datastores/{number}/remove/", confirmation="chaos").status in (200, 204, 302)
    removal = query("Task.objects.filter(kind='storage.datastore.remove').latest('pk').pk")
    assert tasks.until_final(removal) == "completed"


def _seconds(panel: Panel, path: str) -> float:
    """The quickest of three, since the machine does other things too."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        assert panel.get(path).status == 200
        times.append(time.monotonic() - started)
    return min(times)
