"""Ceph stops in the middle of the panel's work, or loses its quorum or its file server: work waits and goes on."""

import os
import signal
import time

import pytest

from tests.chaos.asking import Asker
from tests.chaos.ceph import DAEMONS, MONITORS, NOTICEABLE, PAGES, Work, file_servers, pids_of, quickest, state_of
from tests.chaos.invariants import Invariants
from tests.chaos.machine import frozen, until
from tests.chaos.migration import OPEN, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice
from tests.e2e.lab import NODES

pytestmark = pytest.mark.chaos
LONGER = 26.0  # seconds; than a change of the cluster may take before its caller gives it up
FOLDER = "/srv/mooring/files"
# Blocks with their numbers, one after the other, each on the disk before the next; /tmp/io tells how many.
_WRITE = f"""rm -f /tmp/io* && (i=0; while [ ! -e /tmp/io-enough ]; do
printf '%08d\\n' $i >>{FOLDER}/io && sync -d {FOLDER}/io || {{ echo $i >/tmp/io-broken; break; }}
i=$((i+1)); printf '%-10d\\n' $i 1<>/tmp/io; done; touch /tmp/io-ended) >/dev/null 2>&1 </dev/null &"""
_END = "touch /tmp/io-enough; while [ ! -e /tmp/io-ended ]; do sleep 0.2; done"


def test_ceph_frozen_in_mid_task_delays_tasks_and_slows_no_page(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, tasks: Tasks, invariants: Invariants, work: Work
) -> None:
    usual = {path: quickest(panel, path) for path in PAGES}
    disk = dice.choice(query("list(Disk.objects.filter(device_class='tier1').values_list('number', flat=True))"))
    pids = pids_of(lab, dice.choice((MONITORS, DAEMONS)))
    files, vm, tier = work.create("files", "files"), work.create("chaos", "vm"), work.change_tier(disk, 2)
    task, step = dice.choice(
        ((vm, "Making the pool"), (files, "Making the file system"), (files, "Making the dir"), (tier, "Change the"))
    )
    tasks.until_step(task, step)
    dice.pause(f"{step!r} of task {task}, {len(pids)} processes frozen", 0, 0.5)
    with frozen(pids):
        since = time.monotonic()
        for path in PAGES:
            assert quickest(panel, path) < usual[path] + NOTICEABLE, f"{path} waits for Ceph"
        left = [each for each in (files, vm, tier) if tasks.value(each, "state") in OPEN]
        time.sleep(max(0.0, LONGER - (time.monotonic() - since)))
        waiting = [each for each in left if any("goes on when it answers" in note for note in work.notes(each))]
        print(f"    open: {left}, say that they wait: {waiting}")
        assert waiting or not left, [work.notes(each) for each in left]
    dice.over()
    for each in (files, vm, tier):
        assert tasks.until_final(each, 240) in ("completed", "warning"), tasks.value(each, "reason")
    assert tasks.until_final(work.change_tier(disk, 1), 240) == "completed"


def test_two_monitors_killed_in_mid_task_refuse_what_is_new_and_delay_it(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, tasks: Tasks, invariants: Invariants, work: Work
) -> None:
    usual = {path: quickest(panel, path) for path in PAGES}
    victims = dice.sample(NODES, 2)
    pids = pids_of(lab, MONITORS, victims)
    task = work.create("chaos", "vm")
    step = dice.choice(("Checking", "Making the rule", "Making the pool"))
    tasks.until_step(task, step)
    dice.hit(repr(step), " and ".join(victims))
    try:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        took = until(lambda: state_of(query) == "unreachable", 40, "the lost quorum is not told")
        print(f"    told after {took:.1f} s: {query('Cluster.objects.get().state_reason')}")
        for path in PAGES:
            assert quickest(panel, path) < usual[path] + NOTICEABLE, f"{path} waits for the monitors"
        lost = "storage1 has no quorum: 1 of 3 monitors answers, and 2 are needed"
        until(lambda: lost in panel.get("/storage/").text, 30, "the page does not tell of the quorum")
        assert "No contact" in panel.get("/storage/").text
        answer = panel.post("/storage/datastores/add/", name="new", use="vm", tier="2", mode="r2", domain="host")
        assert answer.status == 422
        assert "has not answered for" in answer.text
        assert lost in answer.text
        print(f"    the task {tasks.value(task, 'state')}: {[note for note in work.notes(task) if note]}")
    finally:
        for node in victims:
            lab.exec(node, "service", "ceph", "start", f"mon.{node}")
    dice.over()
    until(lambda: state_of(query) == "online", 60, "the cluster is not back")
    assert tasks.until_final(task, 120) in ("completed", "warning"), tasks.value(task, "reason")


def test_the_active_file_server_killed_during_io_is_replaced_and_nothing_is_lost(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, tasks: Tasks, invariants: Invariants, work: Work
) -> None:
    task = work.create("files", "files")
    assert tasks.until_final(task) == "completed", tasks.value(task, "reason")
    until(lambda: sorted(file_servers(query).values()) == ["active", "standby"], 60, "no server stands by")
    active = next(name for name, role in file_servers(query).items() if role == "active")
    writer = dice.choice(NODES)
    lab.exec(writer, "sh", "-c", _WRITE)

    def written() -> int:
        return int(lab.exec(writer, "sh", "-c", "cat /tmp/io-broken 2>/dev/null && exit 1; cat /tmp/io || true") or 0)

    until(lambda: written() > 5, 60, "nothing is written")
    dice.hit(f"I/O of {writer}", f"the server of {active}")
    try:
        lab.exec(active, "service", "ceph", "kill", f"mds.{active}")
        at = written()
        took = until(
            lambda: active not in file_servers(query) and "active" in file_servers(query).values(), 60, "no takeover"
        )
        print(f"    the panel knows of the other server after {took:.1f} s")
        until(lambda: "No other server takes over" in panel.get("/storage/services/").text, 60, "that is not told")
        until(lambda: written() > at + 5, 60, "I/O does not go on")
    finally:
        lab.exec(active, "service", "ceph", "start", f"mds.{active}")
        lab.exec(writer, "sh", "-c", _END, timeout=60)
    dice.over()
    total = written()
    other = dice.choice([node for node in NODES if node != writer])
    lines = lab.exec(other, "cat", f"{FOLDER}/io").split()
    assert lines == [f"{number:08d}" for number in range(total)]
    until(lambda: sorted(file_servers(query).values()) == ["active", "standby"], 60, "the server's return is not told")
    lab.exec(writer, "rm", f"{FOLDER}/io")
