"""The lab's machines lie on a datastore of two replicas over hosts: one moves while it writes, and no other one than
those on it notices that a host loses its power.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.disk_writer import DiskWriter
from tests.e2e.lab import Lab
from tests.e2e.test_migration_story import STEPS, start_migration

pytestmark = pytest.mark.e2e

DATASTORE = "vms"
REST = 0.2  # seconds between two blocks, so that the disk is not full before the story is over
TASK_MS = 180_000
HEALED_MS = 240_000


def pool_of(page: Page) -> str:
    """The datastore's pool, as its page says, of which the policy is read as well."""
    page.goto("/storage/datastores/")
    page.get_by_role("link", name=DATASTORE, exact=True).click()
    for words in ("Ready", "2 replicas over hosts"):
        expect(page.locator("#page-title")).to_contain_text(words)
    return page.get_by_role("table", name=f"Pools of {DATASTORE}").locator("tbody td").first.inner_text()


def open_ve(page: Page, name: str, pool: str) -> None:
    """The VE's page, which shows its disk on the pool."""
    page.goto(f"/infrastructure/ves/?q={name}")
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_load_state("load")  # before its scripts, actions lead to pages of their own
    expect(page.locator("#tab-panel")).to_contain_text(f"{pool}/{name}")


@pytest.fixture
def vm2_runs(page: Page, lab: Lab) -> Iterator[DiskWriter]:
    """vm2, which is stopped in a fresh lab, started by its button."""
    pool = pool_of(page)
    open_ve(page, "vm2", pool)
    try:
        page.get_by_role("toolbar", name="vm2 actions").get_by_role("button", name="Start", exact=True).click()
        expect(page.locator("#page-title")).to_contain_text("Running")
        yield DiskWriter(lab, "primary", "vm2")
    finally:
        lab.exec("primary", "sh", "-c", "virsh destroy vm2 || test \"$(virsh domstate vm2)\" = 'shut off'")


@pytest.fixture
def power(lab: Lab) -> Iterator[Callable[[str], None]]:
    """power(node) cuts the node's power, which it has again afterwards, whatever happens."""
    off: list[str] = []

    def cut(node: str) -> None:
        off.append(node)
        lab.run("power-off", node)

    yield cut
    for node in off:
        lab.run("power-on", node)


def test_a_machine_on_the_datastore_moves_while_it_writes(page: Page, lab: Lab, vmtest_on_primary: None) -> None:
    open_ve(page, "vmtest", pool_of(page))
    writer = DiskWriter(lab, "primary", "vmtest")
    writer.begin(rest=REST)
    writer.until_written(5)

    start_migration(page, "secondnode1", bandwidth=8)
    page.goto("/tasks/")
    page.locator("#task-table").get_by_role("link", name="Migrating Virtual Environment vmtest").first.click()
    page.wait_for_url(re.compile(r"/tasks/\d+/$"))
    page.evaluate("window.stayed = true")
    expect(page.locator("#task-status")).to_contain_text("Completed", timeout=TASK_MS)
    for step in STEPS:
        expect(page.locator("#log-steps")).to_contain_text(step)
    assert page.evaluate("window.stayed") is True, "the page was reloaded on the way"

    assert lab.where("vmtest") == ["secondnode1"]
    writer.until_written(writer.written() + 5)
    blocks = writer.stop()
    writer.check(blocks)
    assert writer.errors() == ""


def test_machines_on_the_datastore_do_not_notice_that_another_host_loses_its_power(
    page: Page,
    lab: Lab,
    vmtest_on_primary: None,
    vm2_runs: DiskWriter,
    power: Callable[[str], None],
) -> None:
    writers = [DiskWriter(lab, "primary", "vmtest"), vm2_runs]
    page.goto("/storage/")
    expect(page.locator("#page-title")).to_contain_text("Healthy", timeout=HEALED_MS)
    page.evaluate("window.stayed = true")
    for writer in writers:
        writer.begin(rest=REST)
        writer.until_written(5)

    power("secondnode2")
    expect(page.locator("#page-title")).to_contain_text("Degraded", timeout=60_000)

    for writer in writers:
        writer.until_written(writer.written() + 5)
        assert writer.errors() == "", writer.name
    lab.run("power-on", "secondnode2")
    expect(page.locator("#page-title")).to_contain_text("Healthy", timeout=HEALED_MS)
    assert page.evaluate("window.stayed") is True, "the page was reloaded on the way"
    for writer in writers:
        writer.check(writer.stop())
        assert writer.errors() == "", writer.name
