"""Target servers die, their nodes lose power or network, two admins want one LUN: initiators get back what they had."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.asking import Asker
from tests.chaos.ceph import pids_of, until_well
from tests.chaos.invariants import Invariants
from tests.chaos.machine import frozen, until
from tests.chaos.migration import Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice
from tests.chaos.targets import IOPS, Served, Targets

pytestmark = pytest.mark.chaos
BACK = 10  # seconds within which a server that died is as before
WRITES = 12 * IOPS  # which take that many seconds, for the target's limit holds them back
STEPS = (
    *("Checking tier", "Making the rule", "Making the pool", "Recording the pools", "Making the image"),
    *("Setting its limits", "Recording LUN", "Telling the server"),
)


def _dies(dice: Dice, targets: Targets, hit: Callable[[Served], None]) -> None:
    """While an initiator writes: it is back with all it had, the initiator goes on, its neighbour noticed nothing."""
    target, neighbour = targets.make_with_luns("chaos-a", 1, 7), targets.make_with_luns("chaos-b", 1)
    targets.io(target, "write -P 7 0 16M")
    told, was, stays = targets.told(target), targets.process(target), targets.process(neighbour)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(targets.write_slowly, target, WRITES)
        until(lambda: targets.connected(target) or writing.done(), 30, "nothing is written")
        dice.pause("an initiator that writes", 0.5, 4)
        hitting = pool.submit(hit, target)
        until(lambda: targets.process(target) != was, 15, "its server does not end", 0.02)
        took = targets.until_told(target, told, was, BACK)
        hitting.result()
        print(f"    LUNs, user, initiators and portal as before after {took:.1f} s")
        print(f"    the initiator wrote on, and ended after {writing.result():.1f} s")
    dice.over()
    targets.assert_let_in(target, 1, 7)
    targets.io(target, "read -P 7 0 16M", f"read -P 9 64M {WRITES * 4}k")
    assert targets.write_slowly(target, 4 * IOPS) > 2.5, "its limit is lost"
    assert targets.process(neighbour) == stays, "another target's server ended, too"


def test_a_killed_target_server_is_back_with_all_it_had_and_initiators_go_on(
    dice: Dice, targets: Targets, invariants: Invariants
) -> None:
    _dies(dice, targets, targets.kill)


def test_a_target_server_that_a_read_of_no_blocks_ended_is_back_with_all_it_had(
    dice: Dice, targets: Targets, invariants: Invariants
) -> None:
    _dies(dice, targets, targets.crash_by_empty_read)


def test_a_target_whose_node_lost_power_says_so_and_runs_again_by_itself(
    dice: Dice, lab: Nodes, query: Asker, targets: Targets, invariants: Invariants
) -> None:
    target = targets.make_with_luns("chaos-a", 1, 7)
    targets.io(target, "write -P 7 0 16M")
    told, was = targets.told(target), targets.process(target)
    dice.hit("a node that serves", target.node)
    lab.run("power-off", target.node)
    try:
        took = until(lambda: targets.state(target)[0] in ("unreachable", "failed"), 30, "that it is lost is not told")
        state, reason = targets.state(target)
        print(f"    told after {took:.1f} s: {state}, {reason}")
        assert target.node in reason
        assert "No contact" in targets.page(target)
        time.sleep(dice.uniform(0, 15))
    finally:
        since = time.monotonic()
        lab.run("power-on", target.node)
    booted = time.monotonic() - since
    dice.over()
    took = booted + targets.until_told(target, told, was, 90)
    print(f"    all as before {took:.1f} s after power was given, of which the node booted for {booted:.1f} s")
    until(lambda: targets.state(target)[0] == "running", 30, "that it runs is not told")
    until_well(query)
    targets.assert_let_in(target, 1, 7)
    targets.io(target, "read -P 7 0 16M")


def test_a_target_leaves_a_node_that_is_off_but_none_that_only_the_panel_does_not_reach(
    dice: Dice, lab: Nodes, query: Asker, tasks: Tasks, targets: Targets, invariants: Invariants
) -> None:
    target = targets.make_with_luns("chaos-a", 1)
    targets.io(target, "write -P 7 0 16M")
    went, other = target.node, targets.give_role_to_another()
    dice.hit("a node that serves", went)
    with frozen(pids_of(lab, ("sshd",), [went])):
        until(lambda: targets.state(target)[0] == "unreachable", 60, "that it is silent is not told")
        task = targets.ask_move(target, other)
        assert tasks.until_final(task) == "failed"
        assert f"{went} is on the network and may serve" in tasks.value(task, "reason")
        targets.io(target, "read -P 7 0 16M", "write -P 8 0 1M")
    until(lambda: targets.state(target)[0] == "running", 60, "it does not run again")
    lab.run("power-off", went)
    try:
        until(lambda: targets.state(target)[0] == "unreachable", 60, "that it is lost is not told")
        task, began = targets.ask_move(target, other), time.monotonic()
        assert tasks.until_final(task) == "warning", tasks.value(task, "reason")
        moved = targets.again(target)
        targets.io(moved, "read -P 8 0 1M", "read -P 7 1M 15M", "write -P 9 0 1M")
        print(f"    served by {other} {time.monotonic() - began:.1f} s after it was asked for")
        dice.pause("the node that was left", 0, 10)
    finally:
        lab.run("power-on", went)
    dice.over()
    until(lambda: not query("LeftServer.objects.exists()"), 90, f"{went} is not rid of what was left there")
    until_well(query)
    targets.assert_let_in(moved, 1)
    targets.io(moved, "read -P 9 0 1M")


def _cut(dice: Dice, lab: Nodes, node: str) -> tuple[str, contextlib.AbstractContextManager[None]]:
    """One way to take a node from the panel: its network, or SSH that hangs."""
    if dice.random() < 0.5:
        return "without network", lab.cut_off(node)
    return "with SSH that hangs", frozen(pids_of(lab, ("sshd",), [node]))


def test_a_node_cut_off_while_a_lun_is_added_leaves_all_of_it_or_nothing(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, tasks: Tasks, targets: Targets, invariants: Invariants
) -> None:
    target = targets.make("chaos-a")
    step = dice.choice(STEPS)
    task = targets.ask_lun(target, 1)
    tasks.until_step(task, step)
    way, cut = _cut(dice, lab, target.node)
    dice.pause(f"{step!r}", 0, 0.2)
    with cut:
        seconds = dice.uniform(2, 25)
        print(f"    {target.node} {way} for {seconds:.1f} s")
        time.sleep(seconds)
    dice.over()
    state = tasks.until_final(task, 240)
    print(f"    the task: {state} {tasks.value(task, 'reason')}")
    assert state in ("completed", "warning", "failed")
    if state == "failed":
        invariants.check()
        assert panel.post(f"/tasks/{task}/retry/").status in (204, 302)
        assert tasks.until_final(task) == "completed", tasks.value(task, "reason")
    until(lambda: targets.state(target)[0] == "running", 30, "the target does not run")
    until(lambda: query(f"Lun.objects.get(target={target.pk}).served"), 30, "the LUN is not served")
    until_well(query)
    targets.assert_let_in(target, 1)
    targets.io(target, "write -P 7 0 1M", "read -P 7 0 1M")


def test_twenty_luns_asked_for_at_once_are_all_served_though_the_server_dies_meanwhile(
    dice: Dice, query: Asker, tasks: Tasks, targets: Targets, invariants: Invariants
) -> None:
    target, began = targets.make("chaos-a"), time.monotonic()
    asked = [targets.ask_lun(target, number) for number in range(1, 21)]
    assert len(set(asked)) == 20
    dice.pause("the server of a target that gets 20 LUNs", 0, 10)
    targets.kill(target)
    for task in asked:
        assert tasks.until_final(task, 240) in ("completed", "warning"), tasks.value(task, "reason")
    dice.over()
    served = f"Lun.objects.filter(target={target.pk}, served=True).count()"
    until(lambda: query(served) == 20, 30, "not all LUNs are served")
    print(f"    20 LUNs served {time.monotonic() - began:.1f} s after the first was asked for")
    targets.assert_let_in(target, *range(1, 21))
    targets.io(target, "write -P 7 0 1M", "read -P 7 0 1M")


def test_two_admins_who_add_lun_1_at_once_get_one(
    dice: Dice, panel: Panel, other_admin: Panel, query: Asker, tasks: Tasks, targets: Targets, invariants: Invariants
) -> None:
    target = targets.make("chaos-a")
    equal = dice.random() < 0.5
    forms = [targets.lun_form(1), targets.lun_form(1, 1 if equal else 2)]
    path, asked = f"/iscsi/targets/{target.pk}/luns/add/", "Task.objects.filter(kind='iscsi.lun.add').count()"
    before = query(asked)
    dice.hit("the button", "equal requests" if equal else "LUNs of different size")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda ask: ask[0].post(path, **ask[1]), zip((panel, other_admin), forms, strict=True)))
    task = next(answer.task for answer in answers if answer.status == 302)
    assert query(asked) == before + 1
    if equal:
        assert [answer.task for answer in answers] == [task, task]
    else:
        [refused] = [answer for answer in answers if answer.status != 302]
        assert (refused.status, "LUN 1" in refused.words) == (422, True), refused.words
        assert f"in use by task {task}" in refused.words or "has a LUN 1 already" in refused.words, refused.words
    assert tasks.until_final(task) == "completed", tasks.value(task, "reason")
    assert query(f"Lun.objects.filter(target={target.pk}, number=1).count()") == 1
    targets.assert_let_in(target, 1)
