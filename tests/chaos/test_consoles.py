"""A console is open while the way to it, or libvirt on its node, fails: it says so, and comes back by itself."""

import pytest

from tests.chaos.asking import Asker
from tests.chaos.console import Console
from tests.chaos.invariants import Invariants
from tests.chaos.migration import Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
VE, NODE = "vmd-cli", "secondnode2"


def test_an_open_console_comes_back_when_ssh_is_cut_and_stays_when_libvirtd_is_restarted(
    dice: Dice, lab: Nodes, query: Asker, tasks: Tasks, console: Console, invariants: Invariants
) -> None:
    console.open(VE)
    work = query("enqueue('chaos.work', params={'seconds': 1.5}).pk")
    tasks.until_step(work, "Working")
    dice.pause("'Working', of a task that has nothing to do with the console", 0, 1)
    lab.exec(NODE, "pkill", "-KILL", "-f", "^sshd: root")
    console.assert_told()
    dice.over()
    console.assert_connected()

    lab.restart_libvirtd(NODE)
    console.assert_connected()  # the display is QEMU's own, not libvirt's
    assert tasks.until_final(work) == "completed"
