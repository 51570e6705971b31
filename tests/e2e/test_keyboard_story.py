"""The whole migration story without a pointer; the focus is always somewhere, and always to be seen."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.keys import Keys
from tests.e2e.lab import Lab
from tests.e2e.test_migration_story import connected, console_text_appears, wait_in_guest

pytestmark = pytest.mark.e2e


def sign_in(keys: Keys, secret: str) -> None:
    page = keys.page
    page.goto("/")
    keys.expect_focus("User name")
    keys.type("admin")
    keys.tab_to("^Password")
    keys.type(secret)
    keys.press("Enter")
    page.get_by_role("tree", name="Infrastructure").wait_for()
    page.wait_for_load_state("load")


def migrate(keys: Keys, target: str, bandwidth: int) -> None:
    """From the page of vmtest through the dialog; afterwards the focus is where it was."""
    page = keys.page
    keys.tab_to("^Migrate$")
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Migrate vmtest")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.getElementById('migrate').contains(document.activeElement)")

    keys.press("Escape")
    expect(dialog).to_be_hidden()
    keys.expect_focus("^Migrate$")
    keys.press("Enter")
    expect(dialog).to_be_visible()

    _choose_target(keys, target)
    keys.tab_to("Bandwidth limit")
    keys.press("Control+A")
    keys.type(str(bandwidth))
    submit = dialog.get_by_role("button", name=f"Migrate to {target}")
    expect(submit).to_be_enabled()
    keys.tab_to(f"^Migrate to {target}$")
    keys.press("Enter")
    expect(dialog).to_be_hidden()
    keys.focus()


def _choose_target(keys: Keys, target: str) -> None:
    radio = keys.page.get_by_role("radio", name=re.compile(f"^{target}"))
    keys.tab_to("secondnode|primary")
    for _ in range(3):
        if radio.is_checked():
            break
        keys.press("ArrowDown")
    expect(radio).to_be_checked()
    expect(radio).to_be_focused()
    keys.focus()


def open_newest_task(keys: Keys) -> None:
    keys.press("g", "t")
    expect(keys.page.get_by_role("heading", name="Task Log")).to_be_visible()
    keys.page.wait_for_load_state("load")
    keys.press("j")
    keys.expect_focus("Migrating Virtual Environment vmtest")
    keys.press("Enter")
    expect(keys.page.get_by_role("log", name="Task steps")).to_be_visible()
    keys.page.wait_for_load_state("load")


def use_console(keys: Keys, lab: Lab, node: str, path: str) -> None:
    """Type in the guest, and leave it by Ctrl Alt ←."""
    page = keys.page
    keys.press("g", "c")
    expect(connected(page)).to_be_visible()
    console_text_appears(page)
    keys.expect_focus("^Screen of vmtest")
    keys.type(f"touch {path}", delay=60)
    keys.press("Enter")
    wait_in_guest(lab, node, path)
    keys.press("Tab")
    keys.expect_focus("^Screen of vmtest")  # Tab belongs to the guest
    keys.press("Control+Alt+ArrowLeft")
    keys.expect_focus("^Reconnect$")


def test_the_migration_story_by_keyboard_alone(
    open_context: Callable[..., BrowserContext],
    password: str,
    vmtest_on_primary: None,
    lab: Lab,
    query: Callable[[str], Any],
) -> None:
    page: Page = open_context().new_page()
    keys = Keys(page)
    sign_in(keys, password)

    keys.find("vmtest")
    migrate(keys, "secondnode1", 4)
    open_newest_task(keys)
    expect(page.get_by_text("MiB left").first).to_be_visible()
    expect(page.locator("#task-status")).to_contain_text("Completed", timeout=90_000)

    keys.find("vmtest")
    use_console(keys, lab, "secondnode1", f"/tmp/keys-{int(time.time())}")
    assert lab.where("vmtest") == ["secondnode1"]

    keys.find("vmtest")
    migrate(keys, "primary", 2)
    open_newest_task(keys)
    expect(page.get_by_text("MiB left").first).to_be_visible()
    keys.tab_to("^Cancel")
    keys.press("Enter")
    expect(page.locator("#task-status")).to_contain_text("Cancelled")
    keys.focus()
    assert lab.where("vmtest") == ["secondnode1"]
