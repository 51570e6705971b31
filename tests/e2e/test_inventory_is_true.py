"""What the tree and the lists show is what libvirt says on each node."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.lab import NODES, Lab

pytestmark = pytest.mark.e2e

EXPECTED = {
    "primary": {"ct1", "va-mn", "vm2", "vmtest"},
    "secondnode1": {"ct2", "cttest", "vmd-desktop"},
    "secondnode2": {"ct3", "vmd-cli"},
}


def open_node(page: Page, node: str) -> None:
    """Open the node's children in the tree, by the arrow before its row."""
    page.wait_for_load_state("load")
    item = page.get_by_role("treeitem", name=f"{node},")
    if item.get_attribute("aria-expanded") != "true":
        key = str(item.get_attribute("data-key")).removeprefix("node:")
        page.locator(f"#a-{key}").click()
    expect(item).to_have_attribute("aria-expanded", "true")


def test_the_tree_shows_three_nodes_and_their_ves_as_libvirt_does(page: Page, lab: Lab) -> None:
    page.goto("/")

    for node in NODES:
        expect(page.get_by_role("treeitem", name=f"{node},")).to_be_visible()
        open_node(page, node)
        states = lab.states(node)
        assert set(states) == EXPECTED[node]
        for name, state in states.items():
            kind = "container" if name.startswith("ct") or name == "va-mn" else "virtual machine"
            expect(page.get_by_role("treeitem", name=f"{name}, {kind}, {state}", exact=True)).to_be_visible()


def test_the_lists_count_what_is_there(page: Page) -> None:
    page.goto("/infrastructure/nodes/")
    expect(page.get_by_text("3 nodes found")).to_be_visible()

    page.get_by_role("tab", name="Virtual Environments").click()

    expect(page.get_by_text("9 VEs found")).to_be_visible()


def test_a_change_made_on_the_node_is_in_the_browser_without_reload(page: Page, lab: Lab) -> None:
    page.goto("/")
    open_node(page, "secondnode1")
    page.evaluate("window.stayed = true")
    expect(page.get_by_role("treeitem", name="cttest, container, stopped", exact=True)).to_be_visible()

    lab.exec("secondnode1", "virsh", "-c", "lxc:///system", "start", "cttest")
    try:
        expect(page.get_by_role("treeitem", name="cttest, container, running", exact=True)).to_be_visible()
    finally:
        lab.exec("secondnode1", "virsh", "-c", "lxc:///system", "destroy", "cttest")

    expect(page.get_by_role("treeitem", name="cttest, container, stopped", exact=True)).to_be_visible()
    assert page.evaluate("window.stayed") is True


def test_the_database_holds_each_ve_on_exactly_one_node(query: Callable[[str], Any]) -> None:
    placed = query("[[v.name, v.node.name, v.placements.count()] for v in VE.objects.select_related('node')]")

    assert sorted((name, node) for name, node, _ in placed) == sorted(
        (name, node) for node, names in EXPECTED.items() for name in names
    )
    assert all(count == 1 for _, _, count in placed)
