"""From an event of libvirt to the page of somebody who looks: a VM is paused and resumed in the lab, past the panel.

Needs a running panel with its lab. The time begins when libvirt tells the event to a listener of its own, with a
connection like the panel's, and ends when the tree's row says the new state.
"""

import os
import random
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import libvirt
from playwright.sync_api import Page, sync_playwright

from infrastructure.drivers.libvirt_loop import ensure_event_loop
from tests.bench import cpu
from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import say
from tests.bench.turns import Turns
from tests.e2e.conftest import CHROMIUM, INSTANCE, ROOT, URL, make_user, sign_in
from tests.e2e.lab import Lab

GATES = (Gate("engine event → DOM", Rule.P95_AT_MOST, 300, "ms"),)
NODE, GUEST = "secondnode2", "vmd-cli"
ROUNDS = 40
PASSWORD = "what the benchmarks sign in with"
WAIT_SECONDS = 15.0
WATCH = """
(name) => {
  window.seen = [];
  let last = "";
  const look = () => {
    const row = document.querySelector(`[role=treeitem][aria-label^="${name},"]`);
    const label = row?.getAttribute("aria-label") ?? "";
    if (label !== last) window.seen.push([label, performance.timeOrigin + performance.now()]);
    last = label;
  };
  look();
  const what = { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] };
  new MutationObserver(look).observe(document.body, what);
}
"""


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Takes about a minute."""
    say(f"engine events: {ROUNDS}")
    panel = int((ROOT / "var" / INSTANCE / "run" / "supervisord.pid").read_text())
    found = Turns()
    with _page() as page, _guest() as (guest, events):
        turns = [(guest.suspend, "paused"), (guest.resume, "running")]
        for number in range(ROUNDS + 2):
            act, state = turns[number % 2]
            found.ours(lambda act=act, state=state: [_seen(page, act, state, events)], lambda: cpu.of_trees([panel]))
            if number == 1:  # the first two compile templates
                found = Turns()
            time.sleep(random.uniform(0.3, 1.5))  # so that they fall anywhere between the collector's own looks
    for gate in chosen:
        yield found.result(gate)


def _seen(page: Page, act: Any, state: str, events: "SimpleQueue[float]") -> float:
    """ms from the event to the row that shows the state."""
    before = len(page.evaluate("window.seen"))
    act()
    begun = events.get(timeout=WAIT_SECONDS)
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        for label, at in page.evaluate("window.seen")[before:]:
            if label.endswith(f", {state}"):
                return float(at - begun)
        page.wait_for_timeout(50)
    raise RuntimeError(f"the tree did not show {GUEST} {state} within {WAIT_SECONDS:g} s")


@contextmanager
def _page() -> Iterator[Page]:
    """The tree with the guest's node open."""
    make_user("bench", "administrator", PASSWORD)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(base_url=URL, ignore_https_errors=True, viewport={"width": 1440, "height": 900})
        page = context.new_page()
        sign_in(page, "bench", PASSWORD)
        node = page.get_by_role("treeitem", name=f"{NODE},")
        if node.get_attribute("aria-expanded") != "true":
            node.locator("xpath=preceding-sibling::button[1]").click()
        page.get_by_role("treeitem", name=f"{GUEST}, virtual machine, running").wait_for()
        page.evaluate(WATCH, GUEST)
        yield page
        browser.close()


@contextmanager
def _guest() -> Iterator[tuple[Any, "SimpleQueue[float]"]]:
    """The guest through a connection of the bench's own, and the times (ms since 1970) of its events."""
    ensure_event_loop()
    address = Lab(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE)).exec(NODE, "hostname", "-I").split()[0]
    keys = Path(ROOT, "var", INSTANCE, "keys", "pki")
    connection = libvirt.open(f"qemu+tls://{address}/system?pkipath={keys}")
    events: SimpleQueue[float] = SimpleQueue()
    guest = connection.lookupByName(GUEST)
    number = connection.domainEventRegisterAny(
        guest, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda *_: events.put(time.time() * 1000), None
    )
    try:
        yield guest, events
    finally:
        if guest.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            guest.resume()
        connection.domainEventDeregisterAny(number)
        connection.close()
