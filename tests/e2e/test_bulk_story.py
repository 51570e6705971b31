"""Three machines migrated in bulk by an Operator, while a Viewer watches the same tasks and can do nothing."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import make_user, sign_in, wait_for_all_tasks
from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

SECRET = "several machines in one go"
HOMES = {"vmd-cli": "secondnode2", "vmd-desktop": "secondnode1", "vmtest": "primary"}
NAMES = sorted(HOMES)
TRIES = 3  # requests that the viewer sends all the same

# Runs in the page: notes when each row first appears and each of its states, with the browser's clock.
WATCH = """(selector) => {
  window.arrivals = {};
  const note = () => {
    for (const row of document.querySelectorAll(selector)) {
      const key = `${row.id} ${row.dataset.state}`;
      if (!(key in window.arrivals)) window.arrivals[key] = Date.now();
    }
  };
  new MutationObserver(note).observe(document.body, {childList: true, subtree: true, attributes: true});
  note();
}"""

# A request that the page itself could make: with its session, its token, from its origin.
POST = """async ([path, fields]) => {
  const token = JSON.parse(document.body.getAttribute('hx-headers'))['X-CSRFToken'];
  const body = new URLSearchParams(fields);
  const answer = await fetch(path, {method: 'POST', body, headers: {'X-CSRFToken': token}});
  return answer.status;
}"""


@pytest.fixture
def people(manage: Callable[..., str]) -> tuple[str, str]:
    return make_user("olga", "operator", SECRET), make_user("vito", "viewer", SECRET)


@pytest.fixture
def at_home(manage: Callable[..., str], query: Callable[[str], Any]) -> Iterator[None]:
    """The machines run where the lab put them; afterwards all is as the lab made it."""
    _each(manage, query, _RUN)
    _each(manage, query, _GO_HOME)
    yield
    _each(manage, query, _GO_HOME)
    _each(manage, query, "if ve.name == 'vmd-desktop': power.pause(user=None, ve=ve)")


_RUN = "act = {'paused': power.resume, 'stopped': power.start}.get(ve.state); act and act(user=None, ve=ve)"
_GO_HOME = "ve.node == node or migration.start(user=None, ve=ve, target=node)"


def _each(manage: Callable[..., str], query: Callable[[str], Any], statement: str) -> None:
    """Do this to each machine, and wait until it is done."""
    code = (
        "from infrastructure.models import *; from infrastructure.services import migration, power\n"
        f"for name, home in {HOMES!r}.items():\n"
        "    ve, node = VE.objects.select_related('node').get(name=name), Node.objects.get(name=home)\n"
        f"    {statement}"
    )
    wait_for_all_tasks(query)
    manage("shell", "-c", code)
    wait_for_all_tasks(query)


def _signed_in(open_context: Callable[..., BrowserContext], name: str) -> Page:
    page = open_context().new_page()
    sign_in(page, name, SECRET)
    return page


def _start(page: Page) -> dict[str, str]:
    """Migrate the three from the list; returns the target that the preview told for each."""
    page.goto("/infrastructure/ves/")
    for name in NAMES:
        page.get_by_label(f"Select {name}", exact=True).check()
    bar = page.get_by_role("toolbar", name="Bulk actions")
    expect(bar).to_contain_text("3 selected")
    expect(bar).to_contain_text("3 running VEs would be moved or stopped")
    page.reload()
    expect(bar).to_contain_text("3 selected")
    bar.get_by_role("button", name="Migrate").click()
    dialog = page.get_by_role("dialog", name="Migrate 3 VEs")
    targets = {}
    for name in NAMES:
        row = dialog.get_by_role("row").filter(has_text=name)
        move = re.search(r"(\S+) → (\S+)", row.inner_text())
        assert move is not None, row.inner_text()
        assert move[1] == HOMES[name]
        targets[name] = move[2]
    dialog.get_by_label("At most").fill("1")
    dialog.get_by_label("Bandwidth limit").fill("8")
    dialog.get_by_role("button", name="Migrate 3 VEs").click()
    expect(dialog).to_be_hidden()
    expect(bar).to_be_hidden()
    assert page.url.endswith("/infrastructure/ves/")
    return targets


def test_an_operator_moves_three_machines_while_a_viewer_watches_and_can_do_nothing(
    open_context: Callable[..., BrowserContext],
    people: tuple[str, str],
    at_home: None,
    lab: Lab,
    query: Callable[[str], Any],
) -> None:
    refused = query(_REFUSED)
    operator, viewer = (_signed_in(open_context, name) for name in people)
    viewer.goto("/tasks/")
    viewer.evaluate(WATCH, "#task-table tbody tr")
    viewer.evaluate("window.stayed = true")

    targets = _start(operator)

    # The Task Log of the viewer shows the parent by itself, and leads to its page.
    parent_row = viewer.locator("#task-table tr.now").get_by_role("link", name="Migrating 3 VEs")
    expect(parent_row).to_be_visible()
    assert viewer.evaluate("window.stayed") is True, "the page was loaded again"
    parent = int(str(parent_row.get_attribute("href")).strip("/").rsplit("/", 1)[-1])
    assert any(key.startswith(f"task-{parent} ") for key in viewer.evaluate("Object.keys(window.arrivals)"))
    _no_controls_in_the_log(viewer, operator, parent)
    parent_row.click()
    viewer.wait_for_url(f"**/tasks/{parent}/")
    expect(viewer.locator("#task-children tbody tr")).to_have_count(3)
    viewer.evaluate(WATCH, "#task-children tbody tr")
    _nothing_can_be_done(viewer, parent)

    expect(viewer.locator("#task-status")).to_contain_text("Completed", timeout=180_000)
    children = query(f"dict(Task.objects.filter(parent={parent}).values_list('object_name', 'pk'))")
    assert sorted(children) == NAMES
    _states_came_one_after_the_other(viewer, children)
    assert query(_REFUSED) == refused + TRIES
    assert query(f"Task.objects.get(pk={parent}).cancelled_by") == ""
    for name, target in targets.items():
        assert lab.where(name) == [target], f"{name} is not on {target} alone"
    assert query(f"Task.objects.get(pk={parent}).initiator_name") == "olga"


def _no_controls_in_the_log(viewer: Page, operator: Page, parent: int) -> None:
    row = viewer.locator(f"#task-{parent}")
    expect(row).to_be_visible()
    steering = re.compile("Cancel|Retry")
    for role in ("button", "link"):
        expect(row.get_by_role(role, name=steering)).to_have_count(0)  # type: ignore[arg-type]
    operator.goto("/tasks/")
    # What is cancelled, all or only what waits, is asked on the task's page.
    expect(operator.locator(f"#task-{parent}").get_by_role("link", name=steering)).to_have_count(1)


def _nothing_can_be_done(viewer: Page, parent: int) -> None:
    """No control is offered, and what a page could send is refused."""
    actions = viewer.get_by_role("toolbar", name="Actions")
    expect(actions.get_by_role("button", name=re.compile("Cancel|Retry"))).to_have_count(0)
    expect(viewer.locator("#task-children").get_by_role("button")).to_have_count(0)
    tries: list[tuple[str, dict[str, str]]] = [
        ("/infrastructure/bulk/", {"action": "force_off", "ve": "1", "at_most": "1"}),
        ("/infrastructure/bulk/", {"action": "migrate", "ve": "1", "at_most": "1", "target": "0"}),
        (f"/tasks/{parent}/cancel/", {}),
    ]
    for path, fields in tries:
        assert viewer.evaluate(POST, [path, fields]) == 403, path
    assert len(tries) == TRIES
    other = viewer.context.new_page()
    other.goto("/infrastructure/ves/")
    expect(other.get_by_role("link", name="vmtest", exact=True)).to_be_visible()
    expect(other.get_by_role("checkbox", name="Select vmtest")).to_have_count(0)
    expect(other.get_by_role("toolbar", name="Bulk actions")).to_have_count(0)
    other.close()


_REFUSED = (
    "__import__('panel.audit.models').audit.models.AuditRecord.objects"
    ".filter(actor_name='vito', result='refused').count()"
)


def _states_came_one_after_the_other(viewer: Page, children: dict[str, int]) -> None:
    """At most one ran at once, and the page saw each begin and end as it happened."""
    arrivals: dict[str, int] = viewer.evaluate("window.arrivals")
    ends = []
    for pk in children.values():
        assert f"child-{pk} completed" in arrivals, sorted(arrivals)
        ends.append(arrivals[f"child-{pk} completed"])
    assert len(set(ends)) == len(ends), "the ends came together: nothing was live"
    waited = [key for key in arrivals if key.endswith(" waiting")]
    assert waited, "no task was seen to wait, although one at a time was asked for"
