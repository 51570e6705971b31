"""The main job, as an admin does it: the console open, the machine migrated from the dialog, each step seen live."""

import contextlib
import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Route, expect

from tests.e2e.conftest import ROOT
from tests.e2e.lab import Lab
from tests.e2e.test_inventory_is_true import open_node

pytestmark = pytest.mark.e2e

# The steps of docs/architecture.md, in order; nested ones are messages of the third.
STEPS = [
    "Starting the process",
    "Checking secondnode1",
    "Migrate Virtual Environment vmtest",
    'Operation with the Virtual Machine "vmtest" is started',
    'migrating "vmtest" from "primary" to "secondnode1"',
    "Migrating virtual machine",
    'Operation with the Virtual Machine "vmtest" is finished',
    "Recording the new placement",
    "Completing the process",
]

# Runs in the page: notes when each row of the log first appears, with the browser's clock.
WATCH = """() => {
  window.arrivals = {};
  const note = () => {
    for (const row of document.querySelectorAll('#log-steps > *')) {
      const text = row.textContent.replace(/\\s+/g, ' ');
      if (!(text in window.arrivals)) window.arrivals[text] = Date.now();
    }
  };
  new MutationObserver(note).observe(document.body, {childList: true, subtree: true, characterData: true});
  note();
}"""


def console_text_appears(page: Page) -> None:
    """The canvas shows more than one colour: the guest's screen has been drawn."""
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector('#console-screen canvas');
          if (!canvas || !canvas.width) return false;
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          const first = [data[0], data[1], data[2]].join();
          for (let i = 4; i < data.length; i += 4)
            if ([data[i], data[i + 1], data[i + 2]].join() !== first) return true;
          return false;
        }""",
        timeout=30_000,
    )


def type_in_guest(page: Page, text: str) -> None:
    page.locator("#console-screen canvas").click()
    page.keyboard.type(text, delay=60)
    page.keyboard.press("Enter")


def wait_in_guest(lab: Lab, node: str, path: str, timeout: float = 90) -> None:
    """Return when the file that was typed into being is there."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if lab.in_guest(node, "vmtest", f"ls {path} 2>/dev/null").strip() == path:
            return
        time.sleep(0.5)
    raise AssertionError(f"{path} is not in vmtest: what was typed did not arrive")


def connected(page: Page) -> Any:
    return page.get_by_text("Connected (encrypted) to QEMU (vmtest)")


def open_console(page: Page) -> None:
    page.goto("/")
    open_node(page, "primary")
    page.get_by_role("treeitem", name="vmtest, virtual machine, running", exact=True).click()
    page.get_by_role("tab", name="Console").click()
    expect(connected(page)).to_be_visible()
    console_text_appears(page)


def start_migration(page: Page, target: str, bandwidth: int) -> None:
    page.get_by_role("toolbar", name="vmtest actions").get_by_role("button", name="Migrate").click()
    dialog = page.get_by_role("dialog", name="Migrate vmtest")
    dialog.get_by_role("radio", name=target).check()
    submit = dialog.get_by_role("button", name=f"Migrate to {target}")
    dialog.get_by_label("Bandwidth limit").fill(str(bandwidth))
    expect(submit).to_be_enabled()
    submit.click()
    expect(dialog).to_be_hidden()


def test_checks_that_come_after_the_dialog_was_closed_have_no_place_and_are_dropped(page: Page) -> None:
    page.goto("/infrastructure/ves/?q=vmtest")
    page.get_by_role("link", name="vmtest", exact=True).click()
    page.wait_for_load_state("load")  # before its scripts, Migrate leads to a page of its own
    held: list[Route] = []
    page.route("**/migrate/checks/**", lambda route: held.append(route))
    with page.expect_request("**/migrate/checks/**"):
        page.get_by_role("toolbar", name="vmtest actions").get_by_role("button", name="Migrate").click()
    dialog = page.get_by_role("dialog", name="Migrate vmtest")
    with page.expect_request("**/migrate/checks/**"):
        dialog.locator("input[name=target]:not(:checked):not(:disabled)").first.check()

    for _ in range(600):  # both are held, also where the first one's handler comes late
        if len(held) == 2:
            break
        page.wait_for_timeout(50)
    held.pop().continue_()
    page.wait_for_timeout(1000)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    for route in held:
        with contextlib.suppress(Error):  # given up by the page
            route.continue_()
    page.wait_for_timeout(1000)


def picture(page: Page, name: str) -> None:
    """The README's picture comes from here; the folder is not committed."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))


def test_a_running_machine_moves_while_its_console_stays(
    page: Page,
    open_context: Callable[..., BrowserContext],
    signed_in_state: Any,
    lab: Lab,
    query: Callable[[str], Any],
) -> None:
    open_console(page)
    page.evaluate("window.stayed = true")
    type_in_guest(page, "touch /tmp/before")
    wait_in_guest(lab, "primary", "/tmp/before")
    counted = int(lab.in_guest("primary", "vmtest", "cat /tmp/tick"))

    with page.expect_response(lambda answer: answer.request.method == "POST" and "/migrate/" in answer.url) as answer:
        start_migration(page, "secondnode1", bandwidth=4)
    found = re.search(r'"id": ?(\d+)', answer.value.headers["hx-trigger"])
    assert found
    task = int(found[1])
    watcher = open_context(storage_state=signed_in_state).new_page()
    watcher.goto(f"/tasks/{task}/")
    watcher.evaluate(WATCH)
    expect(watcher.get_by_text("MiB left").first).to_be_visible()
    picture(watcher, "migration")
    expect(watcher.locator("#task-status")).to_contain_text("Completed", timeout=90_000)

    _steps_came_one_by_one(watcher, query, task)
    assert lab.where("vmtest") == ["secondnode1"]

    # The console found the machine again by itself and it is the same machine: its counter went on.
    expect(connected(page)).to_be_visible()
    expect(page.get_by_text(re.compile("moved from primary to secondnode1"))).to_be_visible()
    type_in_guest(page, "touch /tmp/after")
    wait_in_guest(lab, "secondnode1", "/tmp/after")
    assert int(lab.in_guest("secondnode1", "vmtest", "cat /tmp/tick")) > counted

    open_node(page, "secondnode1")
    under = page.get_by_role("treeitem", name="vmtest, virtual machine, running", exact=True)
    expect(under).to_be_visible()
    assert query("VE.objects.get(name='vmtest').node.name") == "secondnode1"
    assert page.evaluate("window.stayed") is True, "the page was reloaded on the way"


def _steps_came_one_by_one(watcher: Page, query: Callable[[str], Any], task: int) -> None:
    """Each step arrived in order, and between the start and the end, not all at once with the final page."""
    arrivals: dict[str, int] = watcher.evaluate("window.arrivals")
    times = []
    for step in STEPS:
        seen = [at for text, at in arrivals.items() if step in text]
        assert seen, f"the step {step!r} never appeared; seen: {list(arrivals)}"
        times.append(min(seen))
    assert times == sorted(times), list(zip(STEPS, times, strict=True))
    started, finished = query(
        f"[t.timestamp() * 1000 for t in Task.objects.filter(pk={task}).values_list('started_at', 'finished_at')[0]]"
    )
    copying, ended = times[STEPS.index("Migrating virtual machine")], times[-1]
    assert started - 1000 < copying < finished
    assert ended - copying > 1000, "the end of the log came with its middle: nothing was live"
    assert all(later >= earlier for earlier, later in pairwise(times))
    order = [line for line in watcher.locator("#log-steps").inner_text().splitlines() if line.strip()]
    places = [next(i for i, line in enumerate(order) if step in line) for step in STEPS]
    assert places == sorted(places), order
