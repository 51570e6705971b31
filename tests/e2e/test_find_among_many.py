"""Tree, search and shortcuts with thousands of rows, by mouse and by keyboard: a panel of its own, without a lab."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.bench.scale_panel import USER, Panel, running_panel
from tests.e2e.conftest import Complaints

# One group: run in several processes (pytest -n), one of them has this panel and all of its tests.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("many")]
NODES, VES = 120, 60


@pytest.fixture(scope="module")
def many() -> Iterator[Panel]:
    """A panel with 120 nodes of 60 VEs each."""
    with running_panel(NODES, VES) as panel:
        yield panel


@pytest.fixture(scope="module")
def signed_in(browser: Browser, many: Panel) -> Any:
    context = browser.new_context(base_url=many.url)
    page = context.new_page()
    page.goto("/account/login/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password", exact=True).fill(many.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("tree", name="Infrastructure").wait_for()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(browser: Browser, many: Panel, signed_in: Any, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """open_page(path, **options) → a page of that panel; `java_script_enabled=False` tries it without script."""
    contexts: list[BrowserContext] = []

    def open_one(path: str = "/infrastructure/nodes/", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(base_url=many.url, storage_state=signed_in, **options)
        context.on("page", complaints.listen)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        page.wait_for_load_state("load")
        return page

    yield open_one
    for context in contexts:
        context.close()


def tree_of(page: Page) -> Locator:
    return page.get_by_role("tree", name="Infrastructure")


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def in_view(page: Page) -> list[int]:
    """The numbers of the rows that can be seen."""
    rows: list[int] = page.evaluate(
        """() => { const box = document.getElementById("tree").getBoundingClientRect();
        return [...document.querySelectorAll("#tree [data-row]")].filter((row) => {
          const at = row.getBoundingClientRect(); return at.top >= box.top && at.bottom <= box.bottom;
        }).map((row) => Number(row.dataset.row)); }"""
    )
    return rows


def test_the_menu_of_a_row_leaves_the_address_of_the_list(page: Page) -> None:
    page.goto("/infrastructure/nodes/?q=primary")
    address = page.url
    page.get_by_role("main").get_by_role("button", name="Actions for primary", exact=True).click()
    expect(page.get_by_role("menuitem").first).to_be_visible()
    expect(page).to_have_url(address)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Infrastructure")


def test_only_the_rows_in_view_and_a_few_more_are_in_the_page(open_page: Callable[..., Page]) -> None:
    page = open_page()
    tree = tree_of(page)

    tree.hover()
    page.mouse.wheel(0, 60 * 26)

    expect(tree).not_to_have_attribute("data-first", "0")
    expect(page.locator('#tree [data-row="60"]')).to_be_in_viewport()
    rows = in_view(page)
    assert rows == list(range(rows[0], rows[-1] + 1))
    there = page.evaluate("[...document.querySelectorAll('#tree [data-row]')].map((row) => Number(row.dataset.row))")
    assert there == list(range(there[0], there[-1] + 1))
    assert len(there) <= page.evaluate("Math.ceil(document.getElementById('tree').clientHeight / 26)") + 2 * 20
    last = page.locator('#tree [data-row="60"]')
    expect(last).to_have_attribute("aria-posinset", "60")
    expect(last).to_have_attribute("aria-setsize", str(NODES))


def test_the_keys_reach_every_row(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("treeitem", name=re.compile("^Infrastructure")).focus()

    page.keyboard.press("End")
    expect(focused(page)).to_have_attribute("data-row", str(NODES))
    page.keyboard.press("Home")
    expect(focused(page)).to_have_attribute("data-row", "0")
    for _ in range(75):  # beyond the edge of the first window
        page.keyboard.press("ArrowDown")
    expect(focused(page)).to_have_attribute("data-row", "75")
    expect(focused(page)).to_be_in_viewport()

    page.keyboard.press("ArrowRight")
    expect(focused(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowRight")
    expect(focused(page)).to_have_attribute("aria-level", "3")
    for _ in range(45):
        page.keyboard.press("ArrowDown")
    expect(focused(page)).to_have_attribute("aria-posinset", "46")
    page.keyboard.press("ArrowLeft")
    expect(focused(page)).to_have_attribute("data-row", "75")
    page.keyboard.press("ArrowLeft")
    expect(focused(page)).to_have_attribute("aria-expanded", "false")

    page.keyboard.type("node-0110", delay=20)
    expect(focused(page)).to_have_attribute("aria-label", re.compile("^node-0110"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/infrastructure/nodes/\d+/"))
    current = page.locator("#tree [aria-current=page]")
    expect(current).to_have_attribute("aria-label", re.compile("^node-0110"))
    expect(current).to_be_in_viewport()


def test_the_focus_outlives_its_row(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("treeitem", name=re.compile("^node-0003")).focus()

    tree_of(page).hover()
    page.mouse.wheel(0, 80 * 26)
    expect(tree_of(page)).to_be_focused()
    page.keyboard.press("ArrowDown")

    expect(focused(page)).to_have_attribute("aria-label", re.compile("^node-0004"))


def test_the_focus_returns_to_its_row_when_that_comes_back(open_page: Callable[..., Page]) -> None:
    page = open_page()
    row = page.get_by_role("treeitem", name=re.compile("^node-0003"))
    row.focus()

    tree_of(page).hover()
    page.mouse.wheel(0, 80 * 26)
    expect(tree_of(page)).to_be_focused()
    page.mouse.wheel(0, -80 * 26)

    expect(row).to_be_focused()


def test_a_late_answer_does_not_take_the_focus(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("treeitem", name=re.compile("^Infrastructure")).focus()
    held: list[Any] = []
    page.route("**/tree/?*", lambda route: held.append(route) if not held else route.continue_())
    with page.expect_request("**/tree/?*"):
        page.keyboard.press("End")
    while not held:
        page.wait_for_timeout(50)
    page.keyboard.press("Home")
    expect(focused(page)).to_have_attribute("data-row", "0")
    held[0].continue_()

    page.wait_for_timeout(500)
    expect(focused(page)).to_have_attribute("data-row", "0")


def test_a_live_change_keeps_place_and_focus(open_page: Callable[..., Page], many: Panel) -> None:
    page = open_page()
    tree_of(page).hover()
    page.mouse.wheel(0, 50 * 26)
    row = page.get_by_role("treeitem", name=re.compile("^node-0055"))
    expect(page.locator('#tree [data-row="75"]')).to_be_in_viewport()
    before = None
    while before != (before := row.bounding_box()):  # it still scrolls
        page.wait_for_timeout(200)
    row.focus()

    many.shell(
        "from infrastructure.models import InventoryRevision, Node\n"
        "rev = InventoryRevision.bump()\n"
        "Node.objects.create(name='aa-first', address='192.0.2.250', rev=rev)\n"
        "Node.objects.filter(name__startswith='node-0055').update(maintenance=True, rev=rev)"
    )

    try:
        expect(row).to_have_attribute("aria-label", re.compile("in maintenance"))
        expect(row.locator(".st")).to_have_class("st maint")
        expect(row).to_be_focused()
        expect(row).to_have_attribute("data-row", "57")  # the new node stands above it
        assert row.bounding_box() == before
    finally:
        many.shell(
            "from infrastructure.models import Node\nNode.objects.filter(name='aa-first').delete()\n"
            "Node.objects.update(maintenance=False)"
        )


def test_many_changes_are_read_at_most_twice_a_second(open_page: Callable[..., Page]) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/tree/?" in request.url else None)

    def changes(data: str) -> tuple[int, float]:
        """The requests that 40 changes cost, and the seconds that they took."""
        asked.clear()
        took: float = page.evaluate(
            """async (data) => { const start = performance.now();
            for (let n = 0; n < 40; n += 1) {
              document.dispatchEvent(new CustomEvent("mooring:inventory", { detail: { data: JSON.parse(data) } }));
              await new Promise((done) => setTimeout(done, 50)); }
            return (performance.now() - start) / 1000; }""",
            data,
        )
        return len(asked), took

    here = page.locator("#tree [id^=t-node-]").nth(2).get_attribute("id") or ""
    requests, took = changes(f'{{"nodes": [{here.rpartition("-")[2]}]}}')
    assert 2 <= requests <= took / 0.5 + 1
    page.wait_for_timeout(3500)
    requests, took = changes('{"ves": [99999999]}')
    assert 1 <= requests <= took / 3 + 1


def test_the_arrow_works_before_and_without_script(open_page: Callable[..., Page]) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator("#tree [aria-level='3']").count() == 0

    page.locator(".tw").nth(1).click()

    assert page.url.endswith("/infrastructure/nodes/")
    expect(page.locator("#tree [aria-level='3']").nth(30)).to_be_attached()
    page.locator(".tw").nth(1).click()
    expect(page.locator("#tree [aria-level='3']")).to_have_count(0)


def test_ves_are_chosen_by_keyboard_and_mouse(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("treeitem", name=re.compile("^node-0001")).focus()
    page.keyboard.press("ArrowRight")
    expect(focused(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(focused(page)).to_have_attribute("aria-selected", "true")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowDown")
    chosen = page.locator("#tree [aria-selected=true]")
    expect(chosen).to_have_count(4)
    bar = page.get_by_role("toolbar", name="Actions for selected VEs")
    expect(bar).to_contain_text("4 VEs selected")

    inside = page.locator("#tree [aria-level='3']")
    inside.nth(6).click(modifiers=["ControlOrMeta"])
    expect(bar).to_contain_text("5 VEs selected")
    tree_of(page).hover()
    page.mouse.wheel(0, 30 * 26)
    page.locator('#tree [aria-level="3"][aria-posinset="55"]').click(modifiers=["Shift"])
    expect(bar).to_contain_text("53 VEs selected")  # rows 1 to 4, and 7 to 55
    page.mouse.wheel(0, -30 * 26)
    expect(inside.nth(0)).to_have_attribute("aria-selected", "true")

    bar.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Migrate").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("53")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    bar.get_by_role("button", name="Clear selection").click()
    expect(chosen).to_have_count(0)
    expect(bar).to_be_hidden()


@pytest.mark.parametrize("how", ["right button", "Shift+F10", "."])
def test_a_row_has_the_menu_of_its_object(how: str, open_page: Callable[..., Page]) -> None:
    page = open_page()
    row = page.get_by_role("treeitem", name=re.compile("^node-0002"))
    if how == "right button":
        row.click(button="right")
    else:
        row.focus()
        page.keyboard.press(how)

    expect(page.get_by_role("menuitem", name=re.compile("aintenance"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(row).to_be_focused()
    expect(row).to_have_attribute("aria-expanded", "false")


def test_the_filter_finds_what_no_window_shows(open_page: Callable[..., Page]) -> None:
    page = open_page()

    page.keyboard.press("f")
    page.keyboard.type("1190005")
    expect(page.get_by_role("treeitem")).to_have_count(3)
    expect(page.get_by_role("treeitem").nth(2)).to_have_attribute("aria-label", re.compile("1190005, container"))
    page.keyboard.press("Escape")
    expect(page.locator("#tree [data-row='5']")).to_be_visible()


def test_the_search_is_opened_and_followed_by_keyboard(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search whole system")
    expect(field).to_be_focused()

    page.keyboard.type("web-00")
    results = page.get_by_role("listbox", name="Results")
    expect(results).to_be_visible()
    expect(results.get_by_role("option")).to_have_count(8 + 1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = results.get_by_role("option").nth(1)
    expect(second).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", second.get_attribute("id") or "")
    page.keyboard.press("Escape")
    expect(results).to_be_hidden()
    expect(field).to_have_value("web-00")

    page.keyboard.press("ArrowDown")
    expect(results).to_be_visible()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")  # the last one: all of them
    page.wait_for_url(re.compile(r"/infrastructure/ves/\?q=web-00"))


def test_the_last_text_wins_over_a_slow_answer(open_page: Callable[..., Page], complaints: Complaints) -> None:
    page = open_page()
    held: list[Any] = []
    slow = r"[?&]q=web(&|$)"

    def hold(route: Any) -> None:
        if re.search(slow, route.request.url):
            held.append(route)
        else:
            route.continue_()

    page.route("**/search/?*", hold)
    field = page.get_by_role("searchbox", name="Search whole system")
    with page.expect_request(re.compile(slow)):
        field.fill("web")
    field.fill("db-0000001")
    option = page.get_by_role("listbox", name="Results").get_by_role("option")
    expect(option).to_have_count(1)
    held[0].continue_()  # the page has given it up
    page.wait_for_timeout(500)

    complaints[:] = [text for text in complaints if "htmx:sendAbort" not in text and "htmx:afterRequest" not in text]
    expect(option).to_have_count(1)
    expect(option).to_have_accessible_name(re.compile("^db-0000001 ?virtual machine"))


def test_enter_leads_to_a_page_that_can_be_read_again(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.get_by_role("searchbox", name="Search whole system").fill("172.16.0.9")
    page.get_by_label("Search in").select_option("Addresses")
    expect(page.get_by_role("group", name="Addresses")).to_be_visible()
    page.get_by_role("searchbox", name="Search whole system").press("Enter")

    page.wait_for_url(re.compile(r"/search/\?q=172\.16\.0\.9&scope=addresses"))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for “172.16.0.9”")
    expect(page.get_by_role("region", name="Addresses").get_by_role("link")).not_to_have_count(0)


def test_without_script_the_search_is_a_form(open_page: Callable[..., Page]) -> None:
    page = open_page(java_script_enabled=False)
    page.locator("#search").fill("node-0119")
    page.locator("#search").press("Enter")

    assert "/search/?q=node-0119" in page.url
    assert page.locator("a.hit").count() == 1


def test_shortcuts_go_where_the_list_says_and_only_there(open_page: Callable[..., Page]) -> None:
    page = open_page()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Task Log")
    for absent in ("Alerts", "Console", "Leave it"):
        expect(dialog.get_by_text(absent, exact=True).locator("visible=true")).to_have_count(0)
    page.keyboard.press("Escape")

    for key in "al":  # no such page yet
        page.keyboard.press("g")
        page.keyboard.press(key)
    assert page.url.endswith("/infrastructure/nodes/")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/tasks/")
    page.wait_for_load_state("load")
    for key, place in (("i", "infrastructure/nodes"), ("s", "storage")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**/{place}/")
        page.wait_for_load_state("load")


def test_the_console_of_a_ve_is_two_keys_away(open_page: Callable[..., Page], many: Panel) -> None:
    number = many.shell(
        "from infrastructure.models import VE\nprint(VE.objects.filter(kind='vm', state='running').first().pk)"
    ).split()[-1]
    page = open_page(f"/infrastructure/ves/{number}/")
    page.keyboard.press("g")
    page.keyboard.press("c")

    page.wait_for_url(f"**/infrastructure/ves/{number}/console/")


def test_no_shortcut_acts_in_a_field(open_page: Callable[..., Page]) -> None:
    page = open_page()
    dock = page.locator("[data-dock-toggle]")
    was = dock.get_attribute("aria-expanded") or ""
    page.get_by_role("searchbox", name="Filter tree").focus()

    page.keyboard.type("t?gi/")

    expect(page.get_by_role("searchbox", name="Filter tree")).to_have_value("t?gi/")
    expect(dock).to_have_attribute("aria-expanded", was)
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_have_count(0)
    assert page.url.endswith("/infrastructure/nodes/")


def test_t_shows_and_hides_the_recent_tasks(open_page: Callable[..., Page]) -> None:
    page = open_page()
    dock = page.locator("[data-dock-toggle]")
    expect(dock).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("t")
    expect(dock).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("t")
    expect(dock).to_have_attribute("aria-expanded", "false")
