"""A node's daemon, power or network fails, mostly while a VE is on its way there."""

import re
import signal
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.chaos.asking import Asker
from tests.chaos.console import Console
from tests.chaos.invariants import Invariants
from tests.chaos.machine import until
from tests.chaos.migration import Migration, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos
NODE = "secondnode2"
NOTICEABLE = 2.0  # seconds; a call to a node that does not answer takes three at least
_PAGES = ("/infrastructure/nodes/", "/tasks/")


@pytest.mark.parametrize("side", ["source", "target"])
def test_libvirtd_restarted_in_mid_migration_leaves_one_vm_and_a_task_to_retry(
    dice: Dice, side: str, lab: Nodes, migration: Migration, invariants: Invariants
) -> None:
    """It is killed, or asked to end; then it may let the migration finish first."""
    node = migration.source if side == "source" else migration.target
    how = dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    migration.start()
    migration.in_the_middle(dice)
    lab.restart_libvirtd(node, how)
    dice.over()

    state = migration.until_final()
    print(f"    {how.name} for the {side}'s: {state}, {migration.reason()}")
    if how is signal.SIGTERM and state != "failed":
        assert state in ("completed", "warning")
        assert lab.where("vmtest") == [migration.target]
        return
    assert state == "failed"
    assert f"libvirtd on {node}" in migration.reason(), "the cause does not name the daemon"
    assert lab.where("vmtest") == [migration.source]
    invariants.check()
    migration.assert_retry_succeeds()


def test_the_target_without_power_in_mid_migration_costs_the_task_alone(
    dice: Dice, lab: Nodes, migration: Migration, powered: None, invariants: Invariants
) -> None:
    migration.start()
    migration.in_the_middle(dice)
    lab.run("power-off", migration.target)
    off = time.monotonic()

    assert migration.until_final() == "failed"
    print(f"    failed {time.monotonic() - off:.1f} s after the power went: {migration.reason()}")
    assert migration.target in migration.reason(), "the cause does not name the node"
    assert lab.states(migration.source)["vmtest"] == "running"
    lab.run("power-on", migration.target)
    dice.over()


@pytest.fixture
def powered(lab: Nodes, migration: Migration) -> Iterator[None]:
    yield
    lab.run("power-on", migration.target)


def test_a_hung_libvirtd_in_mid_migration_is_told_and_slows_no_page(
    dice: Dice, panel: Panel, lab: Nodes, migration: Migration, query: Asker, invariants: Invariants
) -> None:
    side = dice.choice(["source", "target"])
    node = migration.source if side == "source" else migration.target
    paths = [*_PAGES, f"/infrastructure/nodes/{query(f'Node.objects.get(name={node!r}).pk')}/"]
    migration.start()
    usual = _medians(panel, paths)
    migration.in_the_middle(dice, longest=2)
    with lab.hung_libvirtd(node):
        print(f"    libvirtd of the {side} hangs")
        _until_stale(query, node)
        _assert_told(panel, node)
        _assert_none_waits(panel, paths, usual)
        time.sleep(dice.uniform(0, 4))
    dice.over()

    state = migration.until_final()
    where = lab.where("vmtest")
    print(f"    {state}: {migration.reason()}")
    assert (state, where) in (
        ("completed", [migration.target]),
        ("warning", [migration.target]),
        ("failed", [migration.source]),
    )


def test_a_node_cut_off_is_told_slows_no_page_and_its_console_comes_back(
    dice: Dice,
    panel: Panel,
    lab: Nodes,
    query: Asker,
    tasks: Tasks,
    console: Console,
    invariants: Invariants,
) -> None:
    number = query(f"Node.objects.get(name={NODE!r}).pk")
    paths = [*_PAGES, f"/infrastructure/nodes/{number}/"]
    console.open("vmd-cli")
    usual = _medians(panel, paths)
    work = query("enqueue('chaos.work', params={'seconds': 3.0}).pk")
    tasks.until_step(work, "Working")
    dice.pause("'Working', of a task that has nothing to do with the node", 0, 2)
    with lab.cut_off(NODE):
        _until_stale(query, NODE)
        _assert_told(panel, NODE)
        _assert_none_waits(panel, paths, usual)
        console.assert_told()
        assert tasks.until_final(work) == "completed"
    dice.over()

    until(lambda: query(f"Node.objects.get(name={NODE!r}).state") == "online", 90, "the node is not back")
    assert 'data-state="unreachable"' not in panel.get(paths[0]).text
    console.assert_connected()


def _until_stale(query: Asker, node: str) -> None:
    took = until(
        lambda: query(f"Node.objects.get(name={node!r}).state") == "unreachable", 45, f"{node} is not marked in time"
    )
    print(f"    marked after {took:.1f} s")


def _assert_told(panel: Panel, node: str) -> None:
    page = panel.get("/infrastructure/nodes/").text
    assert node in page
    assert re.search(r'data-state="unreachable"[^>]*>', page), "the list does not say that the node has no contact"
    assert re.search(r"No contact \d+", page), "the list does not say for how long"


def _assert_none_waits(panel: Panel, paths: list[str], usual: dict[str, float]) -> None:
    """A page that waited for the node would take as long as its calls may: seconds, every time."""
    during = _medians(panel, paths)
    for path, seconds in during.items():
        print(f"    {path}: median {usual[path] * 1000:.0f} ms before, {seconds * 1000:.0f} ms during")
    late = [path for path in paths if during[path] > usual[path] + NOTICEABLE]
    assert not late, f"pages wait for the node that does not answer: {late}"


def _medians(panel: Panel, paths: list[str], rounds: int = 7) -> dict[str, float]:
    """Path → median seconds of the page, each asked in turn."""
    times: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(rounds):
        for path in paths:
            started = time.monotonic()
            assert panel.get(path).status == 200
            times[path].append(time.monotonic() - started)
    return {path: statistics.median(taken) for path, taken in times.items()}
