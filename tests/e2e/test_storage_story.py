"""A datastore with each kind of redundancy, from the picker to Ceph and away again; the picker follows the cluster."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

ADD = "/storage/datastores/add/"
TASK_MS = 120_000


def ceph(lab: Lab, *argv: str) -> Any:
    return json.loads(lab.exec("primary", "ceph", *argv, "--format", "json"))


def made(lab: Lab) -> dict[str, set[str]]:
    """Pools, rules and profiles that carry the panel's prefix, as Ceph itself lists them."""
    told = {
        "pools": [pool["poolname"] for pool in ceph(lab, "osd", "lspools")],
        "rules": ceph(lab, "osd", "crush", "rule", "ls"),
        "profiles": ceph(lab, "osd", "erasure-code-profile", "ls"),
    }
    return {kind: {name for name in names if name.startswith("mooring-")} for kind, names in told.items()}


def disks_of(lab: Lab, device_class: str) -> list[int]:
    return sorted(ceph(lab, "osd", "crush", "class", "ls-osd", device_class))


@pytest.fixture
def name() -> str:
    return f"story-{secrets.token_hex(3)}"


@pytest.fixture
def disk_back(lab: Lab) -> Iterator[list[str]]:
    """Disks that the test put off and that are started again whatever happens."""
    off: list[str] = []
    yield off
    for disk in off:
        lab.run("disk-on", disk)


@pytest.fixture
def many_disks(lab: Lab) -> None:
    """Seven disks a node, so that 5+2 fits over the disks of tier 2; a lab that began with fewer gets the others."""
    if len(disks_of(lab, "tier2")) < 7:
        lab.run("up", "--disks", "7", timeout=600)


def choose(page: Page, *, tier: int, domain: str, mode: str) -> None:
    page.locator(f"#pick-tier-{tier}").click()
    expect(page.locator("#domain-words-osd")).to_contain_text(f"in tier {tier}")
    page.locator(f"#pick-domain-{domain}").click()
    expect(page.locator("#redundancy th").nth(3)).to_have_text(f"Needs {'disks' if domain == 'osd' else domain + 's'}")
    page.locator(f"#mode-{mode}").click()
    label = page.locator(f'label[for="mode-{mode}"]').inner_text()
    expect(page.locator("#consequences")).to_contain_text(f"{label}, ")


def create(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add datastore").click()
    page.wait_for_url("**/tasks/*/")
    expect(page.locator("#page-head")).to_contain_text("Completed", timeout=TASK_MS)


def remove(page: Page, name: str) -> None:
    page.goto("/storage/datastores/")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_label("Name of the datastore").fill(name)
    page.get_by_role("button", name=f"Remove {name}").click()
    page.wait_for_url("**/tasks/*/")
    expect(page.locator("#page-head")).to_contain_text("Completed", timeout=TASK_MS)


@pytest.mark.usefixtures("many_disks")
@pytest.mark.parametrize(
    ("domain", "mode", "words"),
    [("host", "r2", "Tier 2, 2 replicas over hosts"), ("osd", "ec5-2", "Tier 2, encoding 5+2 over disks")],
)
def test_a_datastore_is_made_in_ceph_and_leaves_nothing_behind(
    page: Page, lab: Lab, name: str, domain: str, mode: str, words: str
) -> None:
    before = made(lab)
    page.goto(ADD)
    choose(page, tier=2, domain=domain, mode=mode)
    create(page, name)
    pool = f"mooring-vm.t2.{mode}.{domain}.{name}"
    assert pool in made(lab)["pools"] - before["pools"]
    assert ceph(lab, "osd", "pool", "application", "get", pool) == {"rbd": {"mooring": "vm"}}
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    page.goto("/storage/datastores/")
    expect(row).to_contain_text("Ready")
    expect(row).to_contain_text(words)
    expect(row).to_contain_text(pool)
    for node in ("primary", "secondnode1", "secondnode2"):
        listed = lab.exec(node, "virsh", "-c", "qemu:///system", "pool-list", "--name")
        assert f"mooring-{name}" in listed.split()
    remove(page, name)
    assert made(lab) == before
    page.goto("/storage/datastores/")
    expect(row).to_have_count(0)


def test_a_mode_that_needs_more_hosts_than_there_are_is_greyed_with_the_reason(page: Page) -> None:
    page.goto(f"{ADD}?tier=2&domain=host")
    expect(page.locator("#fit-ec3-2")).to_have_text("Needs 5 hosts, tier 2 has 3")
    expect(page.locator("#mode-ec3-2")).to_be_disabled()
    expect(page.locator("#consequences")).to_contain_text("Loses nothing after any 2 hosts are lost")
    expect(page.locator("#consequences")).to_contain_text("Keeps serving after any 1 host is lost")


def test_the_counts_follow_a_killed_disk_without_a_reload(page: Page, lab: Lab, disk_back: list[str]) -> None:
    disks = disks_of(lab, "tier1")
    page.goto(f"{ADD}?tier=1&domain=osd&mode=r2")
    words = page.locator("#domain-words-osd")
    expect(words).to_have_text(f"Covers a failed disk. {len(disks)} in tier 1")
    page.get_by_label("Name", exact=True).fill("typed-before")
    disk_back.append(str(disks[-1]))
    lab.run("disk-off", str(disks[-1]))
    expect(words).to_have_text(f"Covers a failed disk. {len(disks) - 1} in tier 1")
    expect(page.locator("#consequences")).to_contain_text(f"{len(disks) - 1} of {len(disks)} disks count.")
    expect(page.get_by_label("Name", exact=True)).to_have_value("typed-before")
    lab.run("disk-on", disk_back.pop())
    expect(words).to_have_text(f"Covers a failed disk. {len(disks)} in tier 1")


def test_one_that_holds_an_image_is_not_removed_and_says_which(page: Page, lab: Lab, name: str) -> None:
    page.goto(ADD)
    choose(page, tier=1, domain="host", mode="r2")
    create(page, name)
    image = f"mooring-vm.t1.r2.host.{name}/a-disk"
    lab.exec("primary", "rbd", "create", image, "--size", "16")
    page.goto("/storage/datastores/")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_label("Name of the datastore").fill(name)
    page.get_by_role("button", name=f"Remove {name}").click()
    page.wait_for_url("**/tasks/*/")
    expect(page.locator("#main")).to_contain_text(f"{name} is not empty: it holds 1 image: a-disk", timeout=TASK_MS)
    lab.exec("primary", "rbd", "rm", image)
    remove(page, name)
