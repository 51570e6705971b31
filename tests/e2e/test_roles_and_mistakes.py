"""What an admin also meets: a colleague who may only look, wrong input, hostile names, reload and back."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import Complaints, make_user, sign_in
from tests.e2e.lab import Lab
from tests.e2e.test_inventory_is_true import open_node

pytestmark = pytest.mark.e2e

VIEWER_PASSWORD = "only looking at things"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def viewer_name() -> str:
    return make_user("ana", "viewer", VIEWER_PASSWORD)


@pytest.fixture
def hostile_container(lab: Lab) -> Iterator[str]:
    """A container on secondnode2 whose name is markup, as anybody with access to libvirt could make it."""
    script = (
        "virsh -c lxc:///system dumpxml ct3 | sed -e '/<uuid>/d' -e '/<mac /d' "
        '-e "s#<name>ct3</name>#<name>\\&lt;img src=x onerror=alert(1)\\&gt;</name>#" '
        "-e \"s# id='[0-9]*'##\" >/tmp/hostile.xml && virsh -c lxc:///system define /tmp/hostile.xml"
    )
    lab.exec("secondnode2", "sh", "-c", script)
    yield HOSTILE
    lab.exec("secondnode2", "sh", "-c", 'virsh -c lxc:///system undefine "$1" || true', "sh", HOSTILE)


def test_a_wrong_password_is_told_and_the_name_is_kept(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context().new_page()
    page.goto("/tasks/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("admin")


def test_a_viewer_watches_a_task_and_can_start_none(
    page: Page, open_context: Callable[..., BrowserContext], viewer_name: str, lab: Lab
) -> None:
    looking = open_context().new_page()
    sign_in(looking, viewer_name, VIEWER_PASSWORD)
    open_node(looking, "secondnode1")
    looking.get_by_role("treeitem", name="cttest,").click()
    expect(looking.get_by_role("heading", name="cttest")).to_be_visible()
    actions = looking.get_by_role("toolbar", name="cttest actions")
    for name in ("Start", "Stop", "Restart", "Migrate"):
        expect(actions.get_by_role("button", name=name, exact=True)).to_be_disabled()

    page.goto(looking.url)
    page.get_by_role("toolbar", name="cttest actions").get_by_role("button", name="Start", exact=True).click()

    running = looking.get_by_role("treeitem", name="cttest, container, running", exact=True)
    expect(running).to_be_visible()
    assert lab.states("secondnode1")["cttest"] == "running"
    actions = page.get_by_role("toolbar", name="cttest actions")
    actions.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("menuitem", name="Shut down", exact=True).click()
    expect(looking.get_by_role("treeitem", name="cttest, container, stopped", exact=True)).to_be_visible()


def test_a_node_that_does_not_answer_is_told_with_what_was_entered_kept(page: Page) -> None:
    page.goto("/infrastructure/nodes/add/")
    page.get_by_label("Name").fill("nowhere")
    page.get_by_label("Address").fill("127.0.0.9")
    page.get_by_label("SSH port").fill("9")
    page.get_by_role("button", name="Show host key").click()

    expect(page.get_by_role("alert").first).to_contain_text("127.0.0.9")
    expect(page.get_by_label("Name")).to_have_value("nowhere")
    expect(page.get_by_label("Address")).to_have_value("127.0.0.9")


def test_a_hostile_name_from_the_engine_is_shown_as_text_until_it_is_forgotten(
    page: Page, hostile_container: str, lab: Lab, complaints: Complaints
) -> None:
    page.goto("/infrastructure/ves/")

    link = page.get_by_role("link", name=hostile_container)
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", name=hostile_container)).to_be_visible()
    other, deaf = page.context.new_page(), page.context.new_page()
    other.clock.install()
    other.goto(page.url)
    deaf.route_web_socket("**", lambda _: None)  # open, but nothing comes: the removal is seen at the next read
    deaf.goto(page.url)
    open_node(page, "secondnode2")
    expect(page.get_by_role("treeitem", name=f"{hostile_container}, container, stopped")).to_be_visible()

    lab.exec("secondnode2", "virsh", "-c", "lxc:///system", "undefine", hostile_container)
    page.get_by_role("button", name=f"Forget {hostile_container}").click()
    expect(page.get_by_text("is forgotten")).to_be_visible()
    expect(page.get_by_role("link", name=hostile_container)).to_have_count(0)
    for left in (other, deaf):
        expect(left.get_by_text(f"{hostile_container} is no longer in the inventory")).to_be_visible()
    other.clock.fast_forward("01:00")  # longer than a note of what merely happened is shown
    assert other.get_by_text(f"{hostile_container} is no longer in the inventory").is_visible()
    complaints[:] = [text for text in complaints if "Response Status Error Code 404" not in text]  # read after its end


def test_a_row_that_is_gone_says_nothing_about_the_page_around_it(page: Page, complaints: Complaints) -> None:
    page.goto("/infrastructure/nodes/")
    page.get_by_role("link", name="secondnode2", exact=True).click()
    page.wait_for_load_state("load")
    page.route("**/menu/**", lambda route: route.fulfill(status=404))
    with page.expect_response("**/menu/**"):
        page.get_by_role("main").get_by_role("button", name="Actions for vmd-cli").click()
    page.wait_for_timeout(1500)
    assert page.get_by_text("no longer in the inventory").count() == 0
    complaints.clear()


def test_filters_survive_reload_and_the_back_button(page: Page) -> None:
    page.goto("/infrastructure/ves/?status=stopped")
    stopped = page.get_by_text("2 VEs found")
    expect(stopped).to_be_visible()

    page.reload()
    expect(stopped).to_be_visible()
    page.get_by_role("link", name="vm2", exact=True).click()
    expect(page.get_by_role("heading", name="vm2")).to_be_visible()
    page.go_back()

    expect(stopped).to_be_visible()
