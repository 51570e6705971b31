"""The storage's daemons die, hang and come back: told in time, no page waits, nothing is left behind."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.chaos.asking import Asker
from tests.chaos.ceph import MONITORS, NOTICEABLE, PAGES, Work, badge, heals, pids_of, quickest, state_of, until_well
from tests.chaos.invariants import Invariants
from tests.chaos.machine import frozen, until
from tests.chaos.migration import Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice
from tests.e2e.lab import NODES

pytestmark = pytest.mark.chaos
TOLD = 30  # seconds within which the Overview shows each change
# Small pieces, and a pause between each two that are made again: healing lasts long enough to be looked at.
_PIECES = "head -c 65536 /dev/urandom >/tmp/piece; for i in $(seq 60); do rados -p {pool} put o$i /tmp/piece; done"
_SLOW = ("tell", "osd.*", "config", "set", "osd_recovery_sleep")


@pytest.fixture
def pieces(panel: Panel, lab: Nodes, query: Asker, work: Work, tasks: Tasks) -> Iterator[None]:
    """Data in two replicas over hosts in tier 2."""
    assert tasks.until_final(work.create("chaos", "vm")) == "completed"
    lab.exec(NODES[0], "sh", "-c", _PIECES.format(pool=query("Datastore.objects.get(name='chaos').pool")))
    lab.exec(NODES[0], "ceph", *_SLOW, "0.5")
    until_well(query)
    until(lambda: badge(panel) == "Healthy", TOLD, "the Overview is not well before")
    yield
    lab.exec(NODES[0], "ceph", *_SLOW, "0")


def _until_out(lab: Nodes, number: int) -> None:
    """Ceph gives a lost disk up after a while, and heals."""
    until(lambda: not _osd(lab, number)["in"], 90, f"Ceph does not give disk {number} up", 0.5)


def _osd(lab: Nodes, number: int) -> dict[str, int]:
    return next(row for row in lab.ceph("osd", "dump")["osds"] if row["osd"] == number)


def _until_shown(panel: Panel, since: float, lab: Nodes, number: int) -> None:
    """Degraded, from when the disk was lost, then healing."""
    until(lambda: badge(panel) == "Degraded", TOLD, "the loss is not shown")
    lost = time.monotonic() - since
    _until_out(lab, number)
    took = until(lambda: heals(panel), TOLD, "the healing is not shown")
    print(f"    degraded was shown after {lost:.1f} s, healing {took:.1f} s after Ceph gave the disk up")


def test_a_lost_disk_is_shown_as_degraded_then_healing_then_healthy(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, pieces: None, invariants: Invariants
) -> None:
    number = dice.choice(query("list(Disk.objects.filter(device_class='tier2').values_list('number', flat=True))"))
    dice.hit("a disk that serves", f"disk {number}")
    lab.run("disk-off", str(number))
    try:
        _until_shown(panel, time.monotonic(), lab, number)
        assert f"CS{number}" in panel.get("/storage/disks/?status=attention").text
        until(lambda: lab.ceph("health")["status"] == "HEALTH_OK", 180, "the cluster did not heal", 0.5)
        took = until(lambda: badge(panel) == "Healthy" and not heals(panel), TOLD, "that it healed is not shown")
        print(f"    healthy was shown {took:.1f} s after it was so")
    finally:
        lab.run("disk-on", str(number))
    dice.over()
    until(lambda: query(f"Disk.objects.get(number={number}).up"), TOLD, "the disk's return is not told")
    until_well(query)


def test_a_host_without_power_is_shown_as_degraded_then_healing_then_healthy(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, pieces: None, invariants: Invariants
) -> None:
    node = dice.choice([name for name in NODES if name != NODES[0]])
    number = query(f"Disk.objects.filter(device_class='tier2', host={node!r}).first().number")
    dice.hit("a host that serves", node)
    lab.run("power-off", node)
    try:
        until(lambda: not _osd(lab, number)["up"], 60, "Ceph does not miss the host", 0.5)
        _until_shown(panel, time.monotonic(), lab, number)
    finally:
        lab.run("power-on", node)
    until(lambda: lab.ceph("health")["status"] == "HEALTH_OK", 180, "the cluster did not heal", 0.5)
    dice.over()
    took = until(lambda: badge(panel) == "Healthy" and not heals(panel), TOLD, "that it healed is not shown")
    print(f"    healthy was shown {took:.1f} s after it was so")


def test_hung_monitors_are_told_refuse_work_and_slow_no_page(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, invariants: Invariants
) -> None:
    usual = {path: quickest(panel, path) for path in PAGES}
    with frozen(pids_of(lab, MONITORS)):
        took = until(lambda: state_of(query) == "unreachable", 30, "the silence of the cluster is not told")
        print(f"    told after {took:.1f} s")
        for path in PAGES:
            assert quickest(panel, path) < usual[path] + NOTICEABLE, f"{path} waits for the monitors"
        answer = panel.post("/storage/datastores/add/", name="chaos", use="vm", tier="2", mode="r2", domain="host")
        assert answer.status in (409, 422), answer.status
        assert "has not answered" in answer.text or "does not answer" in answer.text
        time.sleep(dice.uniform(0, 4))
    dice.over()
    until(lambda: state_of(query) == "online", 60, "the cluster is not back")


def test_one_monitor_of_three_may_be_lost(dice: Dice, lab: Nodes, query: Asker, invariants: Invariants) -> None:
    node = dice.choice(NODES)
    print(f"    the monitor of {node}")
    down = "[d['name'] for d in Cluster.objects.get().status['daemons'] if d['kind'] == 'mon' and not d['up']]"
    with frozen(pids_of(lab, MONITORS, [node])):
        # A leader that hangs stops the others until its lease is over, and they have chosen another.
        until(lambda: query(down) == [node], 60, "the lost monitor is not told")
        end = time.monotonic() + dice.uniform(10, 20)
        while time.monotonic() < end:
            assert state_of(query) == "online", "two of three monitors are enough"
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
