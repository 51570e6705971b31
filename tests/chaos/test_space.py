"""The panel's disk is full: tasks wait or fail with the cause, nothing is damaged, and all goes on with new room."""

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.machine import Machine, until
from tests.chaos.migration import Migration, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
ROOM = "4G"


@pytest.fixture(scope="module")
def small_disk(machine: Machine) -> Iterator[Machine]:
    """The panel's folder, copied to a disk of its own in memory, while this module's tests run."""
    var, aside = machine.var, machine.var.with_name(machine.var.name + ".aside")
    owner = var.stat()
    machine.stop()
    var.rename(aside)
    var.mkdir(mode=0o700)
    _run("mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700,uid={owner.st_uid},gid={owner.st_gid}", "chaos", str(var))
    try:
        _run("cp", "-a", f"{aside}/.", str(var))
        machine.start(under_test=True)
        yield machine
        machine.stop()
    finally:
        _run("umount", str(var))
        var.rmdir()
        aside.rename(var)
    machine.start(under_test=True)


class Filled:
    """The disk, full to the last byte until it is left."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __enter__(self) -> None:
        # The disk shrinks to what is used instead of being filled: that takes no memory. The rest is filled.
        used = os.statvfs(self._machine.var)
        _resize(self._machine, f"{(used.f_blocks - used.f_bfree + 16) * used.f_frsize}")
        self.fill()

    def fill(self) -> None:
        """Take what has become free."""
        with (self._machine.var / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    continue
            except OSError as error:
                print(f"    {error.strerror}")

    def __exit__(self, *error: object) -> None:
        _resize(self._machine, ROOM)
        (self._machine.var / "filler").unlink()


def test_the_panels_disk_full_in_mid_migration_delays_and_damages_nothing(
    dice: Dice,
    panel: Panel,
    password: str,
    small_disk: Machine,
    lab: Nodes,
    migration: Migration,
    query: Asker,
    tasks: Tasks,
    invariants: Invariants,
) -> None:
    migration.start(bandwidth=16)
    other = query("VE.objects.get(name='vm2').pk")
    migration.in_the_middle(dice, longest=2)
    with Filled(small_disk):
        assert Panel(panel.port).get("/account/login/").status == 200, "the login page does not answer"
        answer = panel.post(f"/infrastructure/ves/{other}/start/", timeout=40)
        print(f"    a request that writes was answered {answer.status}")
        assert answer.status in (302, 503), answer.text[:300]
        assert answer.status == 302 or "disk" in answer.text, "the answer does not say what is wrong"
        until(lambda: lab.where("vmtest") == [migration.target], 40, "the engine's work did not go on")
        time.sleep(dice.uniform(0, 12))
    dice.over()

    assert migration.until_final(60) == "completed", migration.reason()
    assert query(f"Task.objects.get(pk={migration.task}).attempt") == 1, "a live worker's task was taken over"
    assert query("damage()") == [], "the database is damaged"
    Panel(panel.port).sign_in("admin", password)
    after = query("enqueue('chaos.quick', params={'number': 1}).pk")
    assert tasks.until_final(after, 30) == "completed"


def _resize(machine: Machine, size: str) -> None:
    _run("mount", "-o", f"remount,size={size}", str(machine.var))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)
