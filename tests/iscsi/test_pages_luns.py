"""The pages of LUNs: the list, one, adding with the picker, and all that is done to one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import html

from iscsi.models import Lun, Snapshot
from panel.accounts.models import User
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.iscsi.test_pages_targets import HTMX, page_of, words
from tests.iscsi.world import World

GIB = 1 << 30
CHOICE = {"number": "2", "size": "3", "name": "db", "tier": "2", "mode": "r2", "domain": "host", "noun": "LUN"}


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def page(lun: Lun) -> str:
    return f"/iscsi/luns/{lun.pk}/"


def send(client: Any, url: str, entered: dict[str, Any] | None = None) -> Task:
    """Send a dialog, and run the task that it started."""
    answer = client.post(url, entered or {}, headers=HTMX)
    assert answer.status_code == 204, (answer.status_code, answer.headers, answer.content.decode()[-900:])
    task = run(Task.objects.latest("pk"))
    assert (task.state, task.reason) == ("completed", "")
    return task


def test_the_list_has_detached_luns_too_in_few_queries(world: World, client: Any) -> None:
    target = world.target()
    first, second = world.lun(target, 1), world.lun(target, 2, name="db")
    send(client, f"{page(second)}detach/")
    shown = client.get("/iscsi/luns/").content
    row = words(shown, f'//*[@id="row-lun-{first.pk}"]')
    assert row.startswith("Served LUN 1 of target1 target1 , LUN 1 1 GiB Tier 2, 2 replicas over hosts")
    assert words(shown, f'//*[@id="row-lun-{second.pk}"]').startswith("Detached db Detached 1 GiB")
    with CaptureQueriesContext(connection) as found:
        client.get("/iscsi/luns/")
    assert len(found) <= 16, [query["sql"] for query in found]


def test_a_lun_says_where_it_is_and_what_it_is_made_of(world: World, client: Any) -> None:
    lun = world.lun(world.target(), name="db")
    shown = words(client.get(page(lun)).content, "//main")
    assert "db Served" in shown and f"{lun.datastore.pool}/{lun.image}" in shown and lun.serial in shown
    with CaptureQueriesContext(connection) as found:
        client.get(page(lun))
    assert len(found) <= 14, [query["sql"] for query in found]


def test_the_form_begins_with_the_lowest_free_number_and_reckons_for_the_size(world: World, client: Any) -> None:
    target = world.target()
    world.lun(target, 1)
    tree = html.fromstring(client.get(f"{page_of(target)}luns/add/?size=30").content.decode())
    assert tree.xpath('//input[@name="number"]/@value') == ["2"]
    assert tree.xpath('//input[@name="noun"]/@value') == ["LUN"]
    asks = tree.xpath('//*[@id="redundancy"]')[0]
    assert (asks.get("hx-include"), "from:#id_size" in asks.get("hx-trigger")) == ("#redundancy, #id_size", True)
    means = " ".join(" ".join(tree.xpath('//*[@id="consequences"]')[0].itertext()).split())
    assert "of raw space for 30 GiB" in means and "Usable left at this redundancy" in means
    asked = client.get("/storage/policies/?noun=LUN&size=40&tier=2&mode=r3&domain=host", headers=HTMX | {
        "HX-Target": "redundancy"}).content.decode()  # fmt: skip
    assert "120 GiB" in asked and "#id_size" in asked


def test_datastores_ask_for_their_policies_as_before(world: World, client: Any) -> None:
    asks = html.fromstring(client.get("/storage/datastores/add/").content.decode()).xpath('//*[@id="redundancy"]')[0]
    assert (asks.get("hx-include"), "id_size" in asks.get("hx-trigger")) == ("this", False)


def test_adding_starts_the_task_and_shows_it(world: World, client: Any) -> None:
    target = world.target()
    answer = client.post(f"{page_of(target)}luns/add/", CHOICE, headers=HTMX)
    task = Task.objects.latest("pk")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/tasks/{task.pk}/")
    assert run(task).state == "completed"
    lun = Lun.objects.get()
    assert (lun.number, lun.size, lun.name, lun.served) == (2, 3 * GIB, "db", True)


@pytest.mark.parametrize(
    ("wrong", "where", "text"),
    [
        ({"number": "1"}, '//*[@id="id_number-error"]', "has a LUN 1 already"),
        ({"size": "0"}, '//*[@id="id_size-error"]', "Use 1 to 65,536"),
        ({"mode": "ec5-2"}, '//*[@id="lun-add"]', "Encoding 5+2 needs 7 hosts"),
        ({"mode": ""}, '//*[@id="lun-add"]', "Choose how the data is protected"),
    ],
)
def test_a_refusal_keeps_what_was_entered(
    world: World, client: Any, wrong: dict[str, str], where: str, text: str
) -> None:
    target = world.target()
    world.lun(target, 1)
    answer = client.post(f"{page_of(target)}luns/add/", CHOICE | wrong)
    assert answer.status_code == 422
    assert text in words(answer.content, where)
    assert html.fromstring(answer.content.decode()).xpath('//input[@name="name"]/@value') == ["db"]
    assert Lun.objects.count() == 1


def test_without_script_the_choice_is_shown_by_a_get_without_the_token(world: World, client: Any) -> None:
    url = f"{page_of(world.target())}luns/add/"
    answer = client.post(url, CHOICE | {"show": "1", "csrfmiddlewaretoken": "secret"})
    assert (answer.status_code, "secret" in answer["Location"]) == (302, False)
    tree = html.fromstring(client.get(answer["Location"]).content.decode())
    assert tree.xpath('//input[@name="size"]/@value') == ["3"]
    assert tree.xpath('//input[@type="radio"][@checked]/@value') == ["2", "host", "r2"]


def test_growing_says_what_initiators_notice_and_refuses_less(world: World, client: Any) -> None:
    lun = world.lun(world.target())
    assert "not ready for about a second" in words(client.get(f"{page(lun)}grow/", headers=HTMX).content)
    less = client.post(f"{page(lun)}grow/", {"size": "1"}, headers=HTMX)
    assert (less.status_code, "a LUN cannot shrink" in words(less.content)) == (422, True)
    send(client, f"{page(lun)}grow/", {"size": "2"})
    assert Lun.objects.get().size == 2 * GIB


def test_a_snapshot_is_taken_rolled_back_to_and_deleted(world: World, client: Any) -> None:
    lun = world.lun(world.target())
    send(client, f"{page(lun)}snapshot/", {"name": "before"})
    snapshot = Snapshot.objects.get()
    assert "before" in words(client.get(page(lun)).content, f'//*[@id="snapshot-{snapshot.pk}"]')
    url = f"/iscsi/snapshots/{snapshot.pk}/"
    dialog = words(client.get(f"{url}roll-back/", headers=HTMX).content)
    assert "All that was written since before is lost." in dialog and "does not show the LUN" in dialog
    assert client.post(f"{url}roll-back/", {"confirmation": "befor"}, headers=HTMX).status_code == 422
    send(client, f"{url}roll-back/", {"confirmation": "before"})
    send(client, f"{url}delete/")
    assert not Snapshot.objects.exists()


def test_a_lun_whose_rolling_back_broke_can_only_be_rolled_back_again_or_deleted(world: World, client: Any) -> None:
    lun = world.lun(world.target())
    send(client, f"{page(lun)}snapshot/", {"name": "before"})
    Lun.objects.update(stage="broken", reason="Roll it back once more: that finishes it")
    tree = html.fromstring(client.get(page(lun)).content.decode())
    buttons = tree.xpath('//*[@id="page-title" or @id="tab-panel"]//button')
    assert [button.text_content() for button in buttons if button.get("disabled") is None] == ["Delete…", "Roll back…"]
    assert "Roll it back once more" in tree.xpath('//*[@id="tab-panel"]//*[@role="status"]')[0].text_content()


def test_a_lun_is_detached_and_attached_elsewhere(world: World, client: Any) -> None:
    first, second = world.target("target1"), world.target("target2")
    lun = world.lun(first)
    send(client, f"{page(lun)}detach/")
    assert world.shown(first) == {}
    assert "Attach…" in words(client.get(page(lun)).content, '//*[@id="page-title"]')
    send(client, f"{page(lun)}attach/", {"target": second.pk, "number": "5"})
    assert world.shown(second) == {5: lun.image}


def test_deleting_wants_the_words_that_it_names(world: World, client: Any) -> None:
    lun = world.lun(world.target())
    dialog = words(client.get(f"{page(lun)}delete/", headers=HTMX).content)
    assert "All its data is destroyed: 1 GiB" in dialog and "Type target1/1 to confirm" in dialog
    assert client.post(f"{page(lun)}delete/", {"confirmation": "target1"}, headers=HTMX).status_code == 422
    answer = client.post(f"{page(lun)}delete/", {"confirmation": "target1/1"}, headers=HTMX)
    task = Task.objects.latest("pk")
    assert answer["HX-Redirect"] == f"/tasks/{task.pk}/"
    assert run(task).state == "completed"
    assert not Lun.objects.exists()
