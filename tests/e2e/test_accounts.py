"""Signing in as people meet it: the first password, the second factor, sessions that end, users and their roles."""

import re
import secrets
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import make_user, run_manage, sign_in
from tests.panel.codes import code_at

pytestmark = pytest.mark.e2e

SECRET = "as long as it has to be"
CHOSEN = "one that nobody else knows"
STEP = 30


def newcomer() -> tuple[str, str]:
    """A user with a password that an administrator gave: name and password."""
    name = f"new-{secrets.token_hex(3)}"
    made = run_manage("add_user", name, "--role", "administrator")
    found = re.search(r"Password: (\S+)", made)
    assert found, made
    return name, found[1]


def enter(page: Page, name: str, secret: str) -> None:
    page.goto("/account/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(secret)
    page.get_by_role("button", name="Sign in").click()


def choose_password(page: Page, old: str, new: str) -> None:
    page.get_by_label("Current password").fill(old)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password again").fill(new)
    page.get_by_role("button", name="Change password").click()


def add_app(page: Page) -> str:
    """Add an authenticator app on the page that asks for it; returns the secret."""
    key = page.locator("#secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(code_at(key, time.time()))
    page.get_by_role("button", name="Add this app").click()
    return key


def next_code(key: str) -> str:
    """A code that was not used yet: that of the next time step is taken too."""
    return code_at(key, time.time() + STEP)


def test_a_given_password_opens_nothing_but_the_form_that_changes_it(
    open_context: Callable[..., BrowserContext],
) -> None:
    name, given = newcomer()
    page = open_context().new_page()
    enter(page, name, given)
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()

    page.goto("/tasks/")
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    choose_password(page, given, "short")
    expect(page.get_by_role("alert")).to_contain_text("too short")
    choose_password(page, given, given)
    expect(page.get_by_role("alert")).to_contain_text("the password you have now")
    choose_password(page, given, CHOSEN)

    expect(page.get_by_role("tree", name="Infrastructure")).to_be_visible()
    enter(open_context().new_page(), name, CHOSEN)


def test_the_second_factor_from_the_qr_code_to_the_recovery_code(open_context: Callable[..., BrowserContext]) -> None:
    name = make_user(f"two-{secrets.token_hex(3)}", "viewer", SECRET)
    page = open_context().new_page()
    sign_in(page, name, SECRET)
    page.goto("/account/two-factor/")
    page.get_by_role("button", name="Add an app").click()
    page.get_by_label("Password", exact=True).fill(SECRET)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("img", name="QR code of the key below")).to_be_visible()
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Add this app").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    key = add_app(page)

    codes = page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_text().split() == codes
    page.reload()
    expect(page.get_by_text("are not shown again")).to_be_visible()

    other = open_context().new_page()
    enter(other, name, SECRET)
    expect(other.get_by_role("heading", name="Enter your code")).to_be_visible()
    other.goto("/tasks/")
    expect(other.get_by_role("heading", name="Enter your code")).to_be_visible()
    other.get_by_role("button", name="Start again").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    enter(other, name, SECRET)
    other.get_by_label("Code", exact=True).fill(next_code(key))
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("tree", name="Infrastructure")).to_be_visible()

    third = open_context().new_page()
    enter(third, name, SECRET)
    third.get_by_label("Code", exact=True).fill(codes[0])
    third.get_by_role("button", name="Sign in").click()
    expect(third.get_by_role("tree", name="Infrastructure")).to_be_visible()


def test_a_session_that_is_ended_is_gone_from_its_page_within_seconds(
    open_context: Callable[..., BrowserContext],
) -> None:
    name = make_user(f"here-{secrets.token_hex(3)}", "viewer", SECRET)
    here, elsewhere = open_context().new_page(), open_context().new_page()
    sign_in(here, name, SECRET)
    sign_in(elsewhere, name, SECRET)
    elsewhere.goto("/health/")

    here.goto("/account/sessions/")
    rows = here.get_by_role("region", name=f"Sessions of {name}").get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("This session")
    rows.nth(2).get_by_role("button", name="End session").click()

    expect(here.get_by_text("1 session has ended.")).to_be_visible()
    # The page asks again every 5 s; nobody touches it.
    expect(elsewhere.get_by_role("heading", name="Sign in")).to_be_visible()
    here.goto("/tasks/")
    expect(here.get_by_role("heading", name="Task Log")).to_be_visible()


def test_an_administrator_adds_a_user_gives_a_role_and_disables_the_account(
    page: Page, open_context: Callable[..., BrowserContext]
) -> None:
    name = f"ops-{secrets.token_hex(3)}"
    page.goto("/setup/users/add/")
    page.get_by_label("User name").fill("no spaces here")
    page.get_by_label("Full name").fill("Night shift")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("alert")).to_contain_text("Use 1 to 64 letters")
    expect(page.get_by_label("Full name")).to_have_value("Night shift")
    page.get_by_label("User name").fill(name)
    page.get_by_role("button", name="Add user").click()
    given = page.locator("#password").inner_text()

    page.get_by_role("button", name=f"Go to {name}").click()
    page.get_by_label("Role", exact=True).select_option("Operator")
    page.get_by_role("button", name="Add role").click()
    expect(page.get_by_role("cell", name="Operator of everything", exact=True)).to_be_visible()

    theirs = open_context().new_page()
    enter(theirs, name, given)
    choose_password(theirs, given, CHOSEN)
    expect(theirs.get_by_role("tree", name="Infrastructure")).to_be_visible()
    theirs.goto("/setup/users/")
    expect(theirs.get_by_text("lacks the permission user.manage")).to_be_visible()

    page.get_by_role("button", name="Disable", exact=True).click()
    dialog = page.get_by_role("dialog", name=f"Disable {name}")
    dialog.get_by_role("button", name=f"Disable {name}").click()
    expect(page.get_by_text(f"{name} is disabled.")).to_be_visible()
    theirs.goto("/tasks/")
    expect(theirs.get_by_role("heading", name="Sign in")).to_be_visible()

    page.goto(f"/audit/?target={name}&action=user.")
    for action in ("user.add", "user.grant", "user.disable"):
        expect(page.get_by_role("cell", name=action, exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 4, lines


def test_new_entries_of_the_audit_wait_behind_a_button(page: Page) -> None:
    page.goto("/audit/?action=user.add")
    shown = page.get_by_role("region", name="Audit records").get_by_role("row")
    before = shown.count()

    name = make_user(f"late-{secrets.token_hex(3)}", "viewer", SECRET)

    page.get_by_role("link", name="1 new, show").click()
    expect(page.get_by_role("cell", name=name)).to_be_visible()
    expect(shown).to_have_count(before + 1)
