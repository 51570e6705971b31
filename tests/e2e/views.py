"""Every page, dialog and menu of the panel, by route: what the accessibility test opens.

Paths name sample objects in braces; `samples.py` makes them. A route stands in `VIEWS`, in `NOT_PAGES` with what it
answers instead, or refuses GET.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Response, expect

Act = Callable[[Page], None]
_UNDER = "/infrastructure/nodes/"

NOT_PAGES = {
    "infrastructure:home": "redirects to the nodes",
    "infrastructure:tree": "a part of every page",
    "infrastructure:tree_ves": "JSON",
    "infrastructure:node_menu": "the menu of a row, opened on infrastructure:nodes",
    "infrastructure:ve_menu": "the menu of a row, opened on infrastructure:ves",
    "storage:disk_menu": "the menu of a row, opened on storage:disks",
    "iscsi:target_menu": "the menu of a row, opened on iscsi:targets",
    "iscsi:lun_menu": "the menu of a row, opened on iscsi:luns",
    "storage:disk_devices": "a part of the dialog that adds a disk",
    "infrastructure:node_log": "a part of the node's Logs tab",
    "infrastructure:bulk_bar": "a part of the lists, opened there",
    "infrastructure:ve_migrate_checks": "a part of the Migrate dialog",
    "tasks:log_text": "a file",
    "tasks:log_json": "a file",
    "audit:news": "a part of the audit list",
    "audit:export_csv": "a file",
    "audit:export_json": "a file",
    "healthz": "JSON",
}


@dataclass(frozen=True, slots=True)
class View:
    """A state of the panel: the route it belongs to, the path to open, as whom, and what is done there."""

    route: str
    path: str
    note: str = ""
    act: Act | None = None
    who: str = "admin"
    sends: bool = False  # a form is sent there: for panels under test only
    modal: bool = False  # the path is a dialog, shown over the list of nodes

    @property
    def name(self) -> str:
        return f"{self.route} {self.note}".strip()

    def show(self, page: Page, ids: dict[str, int]) -> Response:
        """Opens it with these ids in its path; the answer of the page."""
        path = self.path.format(**ids)
        answer = page.goto(_UNDER if self.modal else path)
        assert answer is not None
        if self.modal:
            # As a button with hx-get does.
            page.evaluate("(path) => window.htmx.ajax('GET', path, {target: '#modal', swap: 'innerHTML'})", path)
            expect(page.locator("#modal dialog:modal")).to_be_visible()
            _checked(page)
        if self.act:
            self.act(page)
        return answer


def menu(name: str) -> Act:
    """Open a menu by its button."""

    def act(page: Page) -> None:
        page.get_by_role("button", name=name).first.click()
        expect(page.locator(":popover-open")).to_be_visible()

    return act


def _row_menu(page: Page) -> None:
    page.locator("main td.mn button").first.click()
    expect(page.locator("#row-menu:popover-open")).to_be_visible()


def _manage_menu(page: Page) -> None:
    page.locator('[popovertarget="menu-manage"]').click()
    expect(page.locator("#menu-manage:popover-open")).to_be_visible()


def _account_menu(page: Page) -> None:
    page.locator('[popovertarget="user-menu"]').click()
    expect(page.locator("#user-menu:popover-open")).to_be_visible()


def _checked(page: Page) -> None:
    expect(page.locator("#migrate-checks[aria-busy]")).to_have_count(0)


def _select(page: Page) -> None:
    page.locator("[data-select-page]").check()
    expect(page.locator("[data-bulk-actions] button").first).to_be_visible()


def _shortcuts(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def _search(page: Page) -> None:
    page.get_by_label("Search whole system").fill("vm")
    expect(page.locator('#search-results [role="option"]').first).to_be_visible()


def _dock(page: Page) -> None:
    page.keyboard.press("t")
    expect(page.locator("#dock-list")).to_be_visible()
    page.evaluate("localStorage.removeItem('mooring.dock')")  # the next page has it closed again


def _open_branch(page: Page) -> None:
    closed = page.locator(".tw:not(.open)")
    if closed.count():
        closed.first.click()
    expect(page.locator('[role="treeitem"][aria-level="3"]').first).to_be_visible()


def _choose_in_tree(page: Page) -> None:
    _open_branch(page)
    page.locator('[role="treeitem"][aria-level="3"]').first.click(modifiers=["Control"])
    expect(page.get_by_role("toolbar", name="Actions for selected VEs")).to_be_visible()


def _tree_menu(page: Page) -> None:
    _open_branch(page)
    page.locator('[role="treeitem"][aria-level="3"]').first.click(button="right")
    expect(page.locator(":popover-open")).to_be_visible()


def _filter_tree(page: Page) -> None:
    page.get_by_label("Filter tree").fill("no-such-name")
    expect(page.locator("#tree-empty")).to_be_visible()


def _raw(page: Page) -> None:
    page.get_by_role("button", name="Raw log").click()
    expect(page.locator("#log-raw")).to_be_visible()


def _connected(page: Page) -> None:
    expect(page.locator("#console-state")).to_contain_text("Connected")


def _paste(page: Page) -> None:
    _connected(page)
    page.get_by_role("button", name="Paste").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _send_keys(page: Page) -> None:
    _connected(page)
    menu("Send keys")(page)


def _submit(name: str, **fields: str) -> Act:
    """Fill in fields by their labels and send the form."""

    def act(page: Page) -> None:
        for label, value in fields.items():
            page.get_by_label(label.replace("_", " "), exact=True).fill(value)
        page.get_by_role("button", name=re.compile(f"^{name}")).click()
        page.wait_for_load_state("load")

    return act


def _invalid_migrate(page: Page) -> None:
    _checked(page)
    page.get_by_label("Bandwidth limit").fill("-5")
    page.get_by_role("button", name="Migrate to").click()
    expect(page.get_by_role("alert").first).to_be_visible()


def _pages(route: str, path: str, *notes: str) -> list[View]:
    """A page in variations by its query string."""
    return [View(route, path), *(View(route, f"{path}?{query}", query) for query in notes)]


def _dialog(route: str, path: str, note: str = "") -> list[View]:
    """A dialog, on a page of its own and over another one."""
    return [View(route, path, note, _checked), View(route, path, f"{note} modal".strip(), modal=True)]


NODES, VES, VE = "infrastructure:nodes", "infrastructure:ves", "/infrastructure/ves/{ve}/"
NODE, BULK = "/infrastructure/nodes/{node}/", "/infrastructure/bulk/?"
TARGET, LUN = "/iscsi/targets/{target}/", "/iscsi/luns/{lun}/"
VIEWS: list[View] = [
    View("account_login", "/account/login/", who="stranger"),
    View(
        "account_login", "/account/login/", "refused", _submit("Sign in", User_name="x", Password="y"), "stranger", True
    ),
    View("mfa_authenticate", "/account/login/code/", who="halfway"),
    View("account_change_password", "/account/password/"),
    View("account_change_password", "/account/password/", "first", who="newcomer"),
    View("account_change_password", "/account/password/", "refused", _submit("Change password"), "newcomer", True),
    View("account_logout", "/account/logout/"),
    View("account_reauthenticate", "/account/confirm/"),
    View("mfa_reauthenticate", "/account/confirm/code/", who="factor"),
    *(View("mfa_index", "/account/two-factor/", who, who=who) for who in ("viewer", "factor")),
    View("mfa_activate_totp", "/account/two-factor/app/", who="viewer"),
    View("mfa_deactivate_totp", "/account/two-factor/off/", who="factor"),
    View("mfa_view_recovery_codes", "/account/two-factor/codes/", who="factor"),
    View("mfa_generate_recovery_codes", "/account/two-factor/codes/new/", who="factor"),
    View("own_sessions", "/account/sessions/"),
    *_pages("users:list", "/setup/users/"),
    View("users:add", "/setup/users/add/"),
    View("users:add", "/setup/users/add/", "refused", _submit("Add user", User_name="two words"), sends=True),
    View("users:user", "/setup/users/{user}/"),
    *_dialog("users:password", "/setup/users/{user}/password/"),
    View("users:password", "/setup/users/{user}/password/", "shown", _submit("Set password$"), sends=True),
    *_dialog("users:disable", "/setup/users/{user}/disable/"),
    *_dialog("users:enable", "/setup/users/{user}/enable/"),
    *_dialog("users:second_factor", "/setup/users/{user}/second-factor/"),
    *_dialog("users:sessions", "/setup/users/{user}/sessions/"),
    *_dialog("users:delete", "/setup/users/{user}/delete/"),
    View("about:page", "/setup/about/"),
    *_pages("search", "/search/", "q=vm", "q=no-such-name"),
    *_pages("tasks:list", "/tasks/", "open={parent}", "q=no-such-name"),
    *(View("tasks:detail", f"/tasks/{{{each}}}/", each) for each in ("node_task", "parent", "failed", "lost")),
    View("tasks:detail", "/tasks/{node_task}/", "raw log", _raw),
    View("tasks:detail", "/tasks/{node_task}/", "menu", menu("Download log")),
    *_pages("audit:list", "/audit/", "target=no-such-name"),
    View("audit:entry", "/audit/{audit}/"),
    View("health:page", "/health/"),
    *_dialog("preferences:views", "/preferences/views/ves-table/"),
    *_dialog("preferences:view_add", "/preferences/views/ves-table/add/"),
    *_pages(NODES, "/infrastructure/nodes/", "q=no-such-name"),
    View(NODES, "/infrastructure/nodes/", "row menu", _row_menu),
    View(NODES, "/infrastructure/nodes/", "columns", menu("Columns")),
    View(NODES, "/infrastructure/nodes/", "views", menu("Views")),
    View(NODES, "/infrastructure/nodes/", "account menu", _account_menu),
    View(NODES, "/infrastructure/nodes/", "selected", _select),
    View(NODES, "/infrastructure/nodes/", "shortcuts", _shortcuts),
    View(NODES, "/infrastructure/nodes/", "search", _search),
    View(NODES, "/infrastructure/nodes/", "dock", _dock),
    View(NODES, "/infrastructure/nodes/", "tree open", _open_branch),
    View(NODES, "/infrastructure/nodes/", "tree choice", _choose_in_tree),
    View(NODES, "/infrastructure/nodes/", "tree menu", _tree_menu),
    View(NODES, "/infrastructure/nodes/", "tree filter", _filter_tree),
    View(NODES, "/infrastructure/nodes/", "viewer", who="viewer"),
    View("infrastructure:node_add", "/infrastructure/nodes/add/"),
    View(
        "infrastructure:node_add",
        "/infrastructure/nodes/add/",
        "refused",
        _submit("Show host key", Name="a b"),
        sends=True,
    ),
    *_pages("infrastructure:node", NODE, "tab=ves", "tab=network", "tab=logs"),
    *_dialog("infrastructure:node_maintenance", f"{NODE}maintenance/"),
    *_dialog("infrastructure:node_location", f"{NODE}location/"),
    *_dialog("infrastructure:node_services", f"{NODE}services/"),
    *_dialog("infrastructure:node_certificates", f"{NODE}certificates/"),
    *_dialog("infrastructure:node_remove", f"{NODE}remove/"),
    *_pages(VES, "/infrastructure/ves/", "status=stopped", "q=no-such-name", "columns=status,name,uuid"),
    View(VES, "/infrastructure/ves/", "row menu", _row_menu),
    View(VES, "/infrastructure/ves/", "selected", _select),
    View(VES, "/infrastructure/ves/", "viewer", who="viewer"),
    *_pages("infrastructure:ve", VE, "tab=network", "tab=logs"),
    View("infrastructure:ve", VE, "stop menu", menu("Stop")),
    View("infrastructure:ve", VE, "viewer", who="viewer"),
    View("infrastructure:ve", "/infrastructure/ves/{ct}/", "container"),
    View("infrastructure:ve", "/infrastructure/ves/{stopped}/", "stopped"),
    *_dialog("infrastructure:ve_stop", f"{VE}stop/"),
    *_dialog("infrastructure:ve_force_off", f"{VE}force-off/"),
    *_dialog("infrastructure:ve_migrate", f"{VE}migrate/"),
    View("infrastructure:ve_migrate", f"{VE}migrate/", "refused", _invalid_migrate, sends=True),
    *_dialog("infrastructure:ve_migrate", "/infrastructure/ves/{ct}/migrate/", "container"),
    *(
        View("infrastructure:bulk", f"{BULK}action={action}&ve={{ve}},{{ct}}", action, modal=True)
        for action in ("start", "stop", "force_off", "restart", "pause", "resume", "migrate")
    ),
    View("infrastructure:bulk", f"{BULK}action=location&node={{node}}", "location", modal=True),
    View("infrastructure:bulk", f"{BULK}action=enter_maintenance&node={{node}}", "maintenance", modal=True),
    View("infrastructure:console", f"{VE}console/?kind=screen", "screen", _connected),
    View("infrastructure:console", f"{VE}console/?kind=screen", "keys", _send_keys),
    View("infrastructure:console", f"{VE}console/?kind=screen", "paste", _paste),
    View("infrastructure:console", f"{VE}console/?kind=text", "serial", _connected),
    View("infrastructure:console", f"{VE}console/?kind=screen&window=1", "window", _connected),
    View("infrastructure:console", "/infrastructure/ves/{ct}/console/", "container", _connected),
    View("infrastructure:console", "/infrastructure/ves/{stopped}/console/", "stopped"),
    *_pages("storage:overview", "/storage/", "map=fill", "map=latency&range=7d"),
    View("storage:overview", "/storage/", "manage menu", _manage_menu),
    View("storage:overview", "/storage/", "viewer", who="viewer"),
    *_pages("storage:disks", "/storage/disks/", "host=no-such-host"),
    View("storage:disks", "/storage/disks/", "row menu", _row_menu),
    View("storage:disk", "/storage/disks/0/"),
    *_dialog("storage:disk_tier", "/storage/disks/0/tier/"),
    *_dialog("storage:disk_release", "/storage/disks/0/release/"),
    *_dialog("storage:disk_add", "/storage/disks/add/"),
    *_dialog("storage:locations", "/storage/disks/locations/"),
    View("storage:settings", "/storage/settings/"),
    View("storage:settings", "/storage/settings/", "viewer", who="viewer"),
    View("storage:services", "/storage/services/"),
    View("storage:connect", "/storage/connect/"),
    *_dialog("storage:reconnect", "/storage/connect/again/"),
    *_dialog("storage:disconnect", "/storage/disconnect/"),
    *_pages("storage:datastores", "/storage/datastores/"),
    View("storage:datastores", "/storage/datastores/", "viewer", who="viewer"),
    *_pages("storage:datastore_add", "/storage/datastores/add/", "tier=1&domain=osd&mode=ec3-2", "tier=1&mode=r1"),
    View(
        "storage:datastore_add",
        "/storage/datastores/add/",
        "refused",
        _submit("Add datastore", Name="two words"),
        sends=True,
    ),
    View("storage:datastore", "/storage/datastores/{datastore}/"),
    *_dialog("storage:datastore_remove", "/storage/datastores/{datastore}/remove/"),
    *_pages("storage:policies", "/storage/policies/", "tier=1&domain=osd&mode=r3"),
    *_pages("iscsi:targets", "/iscsi/"),
    View("iscsi:targets", "/iscsi/", "row menu", _row_menu),
    View("iscsi:targets", "/iscsi/", "viewer", who="viewer"),
    *_pages("iscsi:target_add", "/iscsi/targets/add/"),
    View("iscsi:target_add", "/iscsi/targets/add/", "refused", _submit("Add target", Name="two words"), sends=True),
    View("iscsi:target", TARGET),
    View("iscsi:target_edit", f"{TARGET}edit/"),
    *_dialog("iscsi:target_stop", f"{TARGET}stop/"),
    *_dialog("iscsi:target_move", f"{TARGET}move/"),
    *_dialog("iscsi:target_delete", f"{TARGET}delete/"),
    *_pages("iscsi:lun_add", f"{TARGET}luns/add/", "size=40&tier=1&domain=osd&mode=r2"),
    *_pages("iscsi:luns", "/iscsi/luns/"),
    View("iscsi:luns", "/iscsi/luns/", "row menu", _row_menu),
    View("iscsi:lun", LUN),
    *_dialog("iscsi:lun_grow", f"{LUN}grow/"),
    *_dialog("iscsi:lun_snapshot", f"{LUN}snapshot/"),
    *_dialog("iscsi:lun_detach", f"{LUN}detach/"),
    *_dialog("iscsi:lun_attach", f"{LUN}attach/"),
    *_dialog("iscsi:lun_delete", f"{LUN}delete/"),
    *_dialog("iscsi:snapshot_roll_back", "/iscsi/snapshots/{snapshot}/roll-back/"),
    *_dialog("iscsi:snapshot_delete", "/iscsi/snapshots/{snapshot}/delete/"),
    View("iscsi:users", "/iscsi/users/"),
    *_pages("iscsi:initiators", "/iscsi/initiators/", "q=no-such-name"),
    *_dialog("iscsi:user_add", "/iscsi/users/add/"),
    *_dialog("iscsi:user_secret", "/iscsi/users/{chap_user}/password/"),
    *_dialog("iscsi:user_remove", "/iscsi/users/{chap_user}/remove/"),
    View("iscsi:nodes", "/iscsi/nodes/"),
    *_dialog("iscsi:node_add", "/iscsi/nodes/add/"),
    *_dialog("iscsi:node_withdraw", "/iscsi/nodes/{node}/withdraw/"),
    View("404", "/no-such-page/"),
    View("403", "/setup/users/", who="viewer"),
]
