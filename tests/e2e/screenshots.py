"""Pictures of every page, light and dark, at both supported widths; run by bin/screenshots."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.conftest import CHROMIUM, INSTANCE, ROOT, URL, sign_in

FOLDER = ROOT / "screenshots"
SIZES = {1440: 900, 1024: 768}


def pages(page: Page) -> dict[str, str]:
    """Name → path of every page; objects are found by the links that the pages themselves show."""
    page.goto("/infrastructure/nodes/")
    node = _first_link(page, r"^/infrastructure/nodes/\d+/$")
    page.goto("/infrastructure/ves/?q=vmtest")
    ve = _first_link(page, r"^/infrastructure/ves/\d+/$")
    page.goto("/tasks/")
    task = _first_link(page, r"^/tasks/\d+/$")
    found = {
        "nodes": "/infrastructure/nodes/",
        "ves": "/infrastructure/ves/",
        "ves-no-match": "/infrastructure/ves/?q=no-such-name",
        "add-node": "/infrastructure/nodes/add/",
        "task-log": "/tasks/",
        "audit": "/audit/",
        "health": "/health/",
        "password": "/account/password/",
        "not-found": "/no-such-page/",
        "node": node,
        "ve": ve,
        "task": task,
    }
    for name, path in (("node", node), ("ve", ve)):
        page.goto(path)
        for tab in page.get_by_role("tablist", name="Sections").get_by_role("tab").all():
            href = tab.get_attribute("href") or ""
            label = re.sub(r"[^a-z]+", "-", tab.inner_text().lower()).strip("-")
            found[f"{name}-{label}"] = href if href.startswith("/") else path + href
    return found


def _first_link(page: Page, pattern: str) -> str:
    hrefs = [link.get_attribute("href") or "" for link in page.locator("main a").all()]
    matching = [href for href in hrefs if re.match(pattern, href)]
    if not matching:
        raise SystemExit(f"mooring: {page.url} links to nothing like {pattern}: is the panel's lab running?")
    return matching[0]


def _open_migrate_dialog(page: Page, paths: dict[str, str]) -> None:
    page.goto(paths["ve"])
    page.get_by_role("button", name="Migrate").first.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    page.wait_for_timeout(2500)  # the checks arrive one by one


DIALOGS: dict[str, Callable[[Page, dict[str, str]], None]] = {"ve-migrate": _open_migrate_dialog}


def _themes(browser: Browser, state: object = None) -> Iterator[tuple[str, Page]]:
    """A page for each theme and width; signed in when the cookies of a login are given."""
    for theme in ("light", "dark"):
        for width, height in SIZES.items():
            context = browser.new_context(
                base_url=URL,
                ignore_https_errors=True,
                color_scheme=theme,
                storage_state=state,  # type: ignore[arg-type]
                viewport={"width": width, "height": height},
            )
            yield f"{theme}-{width}", context.new_page()
            context.close()


def main() -> None:
    """Sign in once, then picture everything."""
    FOLDER.mkdir(exist_ok=True)
    password = (ROOT / "var" / INSTANCE / "keys" / "initial_password").read_text().strip()
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = browser.new_context(base_url=URL, ignore_https_errors=True)
        page = context.new_page()
        for suffix, stranger in _themes(browser):
            stranger.goto("/account/login/")
            _shoot(stranger, f"login-{suffix}")
            count += 1
        sign_in(page, "admin", password)
        paths, state = pages(page), context.storage_state()
        for suffix, themed in _themes(browser, state):
            for name, path in paths.items():
                themed.goto(path)
                themed.wait_for_timeout(3000 if "console" in name else 400)
                _shoot(themed, f"{name}-{suffix}")
                count += 1
            for name, open_dialog in DIALOGS.items():
                open_dialog(themed, paths)
                _shoot(themed, f"{name}-{suffix}")
                count += 1
        browser.close()
    sys.stdout.write(f"{count} pictures in {FOLDER.relative_to(Path.cwd())}/\n")


def _shoot(page: Page, name: str) -> None:
    page.screenshot(path=str(FOLDER / f"{name}.png"))


if __name__ == "__main__":
    main()
