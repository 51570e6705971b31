"""Text consoles in the browser: a VM's serial port, a container's console, two browsers at one, a live migration."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.lab import Lab
from tests.e2e.test_migration_story import start_migration

pytestmark = pytest.mark.e2e


def open_text(page: Page, query: Callable[[str], Any], name: str) -> None:
    page.goto(f"/infrastructure/ves/{query(f'VE.objects.get(name={name!r}).pk')}/console/?kind=text")
    expect(page.locator("#console-state")).to_contain_text("Connected (encrypted)", timeout=30_000)


def shown(page: Page) -> str:
    """The terminal's visible text."""
    return page.locator(".xterm-rows").inner_text()


def type_line(page: Page, line: str) -> None:
    page.locator(".xterm-screen").click()
    page.keyboard.type(line, delay=20)
    page.keyboard.press("Enter")


def wait_for_text(page: Page, pattern: str, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not re.search(pattern, shown(page), re.MULTILINE):
        assert time.monotonic() < deadline, f"{pattern!r} is not on the terminal:\n{shown(page)}"
        time.sleep(0.2)


def ready(page: Page) -> None:
    """A shell answers; what is typed is built so that its echo is not the answer."""
    type_line(page, "")
    type_line(page, "echo rea''dy")
    wait_for_text(page, r"^ready\s*$", 40)


@pytest.fixture
def no_audit_of_text(query: Callable[[str], Any]) -> Any:
    return lambda text: query(
        "__import__('panel.audit.models', fromlist=['x']).AuditRecord.objects"
        f".filter(detail__contains={text!r}).count()"
    )


def test_the_serial_console_of_a_machine_and_its_clipboard(
    open_context: Callable[..., BrowserContext],
    signed_in_state: Any,
    query: Callable[[str], Any],
    no_audit_of_text: Any,
) -> None:
    context = open_context(storage_state=signed_in_state, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    open_text(page, query, "vmtest")
    ready(page)

    page.evaluate("navigator.clipboard.writeText('echo one-li\\'\\'ne')")
    page.keyboard.press("Control+Shift+V")
    page.keyboard.press("Enter")
    wait_for_text(page, r"^one-line\s*$")

    # Text of several lines is asked about first.
    page.evaluate("navigator.clipboard.writeText('echo fir\\'\\'st\\necho sec\\'\\'ond\\n')")
    page.keyboard.press("Control+Shift+V")
    dialog = page.get_by_role("dialog", name="Paste into vmtest")
    expect(dialog).to_be_visible()
    assert "first" not in shown(page)
    dialog.get_by_role("button", name="Paste the text").click()
    wait_for_text(page, r"^second\s*$")
    expect(dialog).to_be_hidden()
    assert no_audit_of_text("sec''ond") == 0

    line = page.locator(".xterm-rows > div").filter(has_text=re.compile(r"^second\s*$")).last.bounding_box()
    assert line is not None
    page.mouse.dblclick(line["x"] + 20, line["y"] + line["height"] / 2)
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == "second"

    page.get_by_role("button", name="Set size").click()
    type_line(page, "stty size")
    wait_for_text(page, r"^24 80\s*$")

    with page.expect_download() as download:
        page.get_by_role("button", name="Save text").click()
    assert re.fullmatch(r"vmtest-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.txt", download.value.suggested_filename)
    assert "one-line" in download.value.path().read_text()


def test_two_browsers_at_one_console_see_the_same_and_each_other(
    open_context: Callable[..., BrowserContext], signed_in_state: Any, query: Callable[[str], Any]
) -> None:
    first, second = (open_context(storage_state=signed_in_state).new_page() for _ in range(2))
    open_text(first, query, "ct1")
    ready(first)
    open_text(second, query, "ct1")
    wait_for_text(second, r"^ready\s*$")  # what was there before it came

    type_line(second, "echo fr''om-two")
    wait_for_text(first, r"^from-two\s*$")
    expect(first.locator("#console-others")).to_have_text(re.compile(r"Also open: admin \(text\) since \d\d:\d\d"))
    first.close()
    expect(second.locator("#console-others")).to_be_hidden()
    type_line(second, "echo al''one")
    wait_for_text(second, r"^alone\s*$")

    # A reload finds the line again with what it showed.
    second.reload()
    wait_for_text(second, r"^alone\s*$")


def test_the_serial_console_follows_a_live_migration(page: Page, lab: Lab, query: Callable[[str], Any]) -> None:
    source = lab.where("vmtest")[0]
    target = "secondnode2" if source != "secondnode2" else "primary"
    open_text(page, query, "vmtest")
    ready(page)
    type_line(page, "marker=be''fore")

    start_migration(page, target, bandwidth=64)
    expect(page.get_by_text(re.compile(f"moved from {source} to {target}"))).to_be_visible(timeout=120_000)
    expect(page.locator("#console-state")).to_contain_text("Connected (encrypted)", timeout=30_000)

    type_line(page, "echo af''ter-$marker")
    wait_for_text(page, r"^after-before\s*$")
    assert "ready" in shown(page), "what was on the terminal before the migration is gone"
    assert lab.where("vmtest") == [target]
