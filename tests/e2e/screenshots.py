"""Pictures of every page, dialog and menu, light and dark, at both supported widths; run by bin/screenshots."""

import json
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.conftest import CHROMIUM, ROOT, URL, run_manage, sign_in
from tests.e2e.views import VIEWS, View

FOLDER = ROOT / "screenshots"
PHOTOGRAPHER = "screenshots"
SIGNS_IN_AT_ONCE = ("--role", "administrator", "--password-stdin", "--keep-password")
SIZES = {1440: 900, 1024: 768}
THEMES = ("light", "dark")
SETTLED_MS = 400

# Objects by the names that the views' paths give them; a panel that has none of a kind goes without its pictures.
_OBJECTS = """
import json
from django.contrib.auth import get_user_model
from infrastructure.models import Node, VE
from panel.audit.models import AuditRecord
from storage.models import Datastore
from tasks.models import Task
vms = VE.objects.filter(kind="vm", state="running").order_by("-name")
rows = {
    "node": Node.objects.order_by("name"),
    "ve": vms,
    "ct": VE.objects.filter(kind="ct", state="running").order_by("name"),
    "stopped": VE.objects.filter(kind="vm", state="stopped").order_by("name"),
    "datastore": Datastore.objects.order_by("name"),
    "node_task": Task.objects.filter(kind="node.onboard").order_by("-pk"),
    "parent": Task.objects.filter(waits_for_children=True).order_by("-pk"),
    "failed": Task.objects.filter(state="failed").order_by("-pk"),
    "migration": Task.objects.filter(kind="ve.migrate").order_by("-pk"),
    "audit": AuditRecord.objects.order_by("-pk"),
    "user": get_user_model().objects.order_by("pk"),
}
print("@@" + json.dumps({name: found[0].pk for name, found in rows.items() if found}))
"""


def objects() -> dict[str, int]:
    ids: dict[str, int] = json.loads(run_manage("shell", "-c", _OBJECTS).rsplit("@@", 1)[1])
    return ids


def pictured() -> Iterator[View]:
    """The views that can be opened on any panel without sending a form."""
    yield View("tasks:detail", "/tasks/{migration}/", "migration")
    for view in VIEWS:
        if view.who in ("admin", "stranger") and not view.sends:
            yield view


def main() -> None:
    """Sign in as a user made for it, picture everything, and take the user away again."""
    FOLDER.mkdir(exist_ok=True)
    password = secrets.token_urlsafe(24)
    run_manage("add_user", PHOTOGRAPHER, *SIGNS_IN_AT_ONCE, stdin=f"{password}\n")
    try:
        count = _picture(password)
    finally:
        run_manage("remove_user", PHOTOGRAPHER)
    sys.stdout.write(f"{count} pictures in {FOLDER.relative_to(Path.cwd())}/\n")


def _picture(password: str) -> int:
    ids, count = objects(), 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        stranger = _page(browser)
        admin = _page(browser)
        sign_in(admin, PHOTOGRAPHER, password)
        for view in pictured():
            if set(re.findall(r"{(\w+)}", view.path)) <= set(ids):
                page = stranger if view.who == "stranger" else admin
                count += _shoot(page, view, ids)
        browser.close()
    return count


def _page(browser: Browser) -> Page:
    options: dict[str, Any] = {"base_url": URL, "ignore_https_errors": True, "reduced_motion": "reduce"}
    return browser.new_context(**options).new_page()


def _shoot(page: Page, view: View, ids: dict[str, int]) -> int:
    """One picture for each width and theme; a view is opened anew for each width, as menus stand where they opened."""
    name = re.sub(r"[^a-z0-9]+", "-", view.name.lower()).strip("-")
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        view.show(page, ids)
        page.wait_for_timeout(SETTLED_MS)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.screenshot(path=str(FOLDER / f"{name}-{theme}-{width}.png"))
    return len(SIZES) * len(THEMES)


if __name__ == "__main__":
    main()
