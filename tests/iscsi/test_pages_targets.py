"""The pages of targets: the list, one, adding, editing, moving, stopping and deleting."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from infrastructure.models import Node
from iscsi.choices import ServerState
from iscsi.models import Target
from panel.accounts.models import User
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.iscsi.world import IQN, SECRET, World

LIST, ADD = "/iscsi/", "/iscsi/targets/add/"
HTMX = {"HX-Request": "true"}
SESSIONS = [{"initiator": "iqn.a:x", "address": "10.0.0.9"}, {"initiator": "iqn.a:x", "address": "10.0.0.8"}]


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def words(content: bytes, path: str = ".") -> str:
    found = html.fromstring(content.decode()).xpath(path)[0]
    return " ".join(" ".join(found.itertext()).split())


def page_of(target: Target) -> str:
    return f"/iscsi/targets/{target.pk}/"


def entered(world: World, **more: Any) -> dict[str, Any]:
    usual = {"name": "target1", "node": world.nodes["primary"].pk, "portals": ["192.0.2.11"], "sharing": "each"}
    return usual | more


def connect(target: Target, **columns: Any) -> None:
    Target.objects.filter(pk=target.pk).update(sessions=SESSIONS, checked_at=timezone.now(), **columns)


def test_the_list_says_state_portals_luns_user_limits_and_initiators(world: World, client: Any) -> None:
    target = world.target()
    world.lun(target)
    connect(target, limit_iops=2000, limit_mbps=200)
    row = words(client.get(LIST).content, f'//*[@id="row-target-{target.pk}"]')
    assert row == f"Running {IQN} primary 192.0.2.100 1 Not asked for 2,000 IOPS, 200 MB/s each LUN 1"


def test_who_is_connected_is_not_said_of_a_server_that_was_not_looked_at_lately(world: World, client: Any) -> None:
    target = world.target()
    Target.objects.update(sessions=SESSIONS, checked_at="2026-01-01T00:00Z")
    row = words(client.get(LIST).content, f'//*[@id="row-target-{target.pk}"]')
    assert row.startswith("No data") and row.endswith("No data")
    page = words(client.get(page_of(target)).content, "//main")
    assert "iqn.a:x" not in page and "The last look was" in page


def test_the_list_takes_few_queries_however_many_there_are(world: World, client: Any) -> None:
    for number in range(4):
        world.target(f"target{number}")
    client.get(LIST)
    for headers, most in (({}, 17), (HTMX | {"HX-Target": "targets-table"}, 12)):
        with CaptureQueriesContext(connection) as found:
            client.get(LIST, headers=headers)
        assert len(found) <= most, [query["sql"] for query in found]


def test_a_target_shows_its_luns_initiators_and_tasks_in_few_queries(world: World, client: Any) -> None:
    target = world.target()
    for number in (1, 2, 3):
        world.lun(target, number, name=f"db{number}")
    connect(target)
    page = words(client.get(page_of(target)).content, "//main")
    assert "1 Served db1 1 GiB Tier 2, 2 replicas over hosts" in page
    assert "iqn.a:x 10.0.0.8, 10.0.0.9" in page
    assert "Creating target" in page
    with CaptureQueriesContext(connection) as found:
        client.get(page_of(target))
    assert len(found) <= 17, [query["sql"] for query in found]


def test_the_topic_that_the_pages_follow_is_the_one_that_tells(world: World, client: Any) -> None:
    target = world.target()
    for path in (LIST, page_of(target), "/iscsi/users/", "/iscsi/luns/", "/iscsi/initiators/", "/iscsi/nodes/"):
        tree = html.fromstring(client.get(path).content.decode())
        assert tree.xpath('//*[@data-topic="iscsi"][@data-after]'), path
        assert tree.xpath('//*[contains(@data-refresh, "iscsi")]'), path


def test_the_menu_leads_to_it_by_a_shortcut(world: World, client: Any) -> None:
    link = html.fromstring(client.get(LIST).content.decode()).xpath('//a[@data-shortcut="g l"]')[0]
    assert (link.text, link.get("href"), link.get("aria-current")) == ("iSCSI", LIST, "page")


def test_a_viewer_sees_all_and_can_begin_nothing(
    world: World, make_user: Callable[..., User], client_of: Callable[[User], Any]
) -> None:
    target = world.target()
    viewer = client_of(make_user("vera", "viewer"))
    for path in (LIST, page_of(target)):
        buttons = html.fromstring(viewer.get(path).content.decode()).xpath('//*[@id="page-title"]//button')
        assert buttons and all(button.get("disabled") is not None for button in buttons)
    assert viewer.get(ADD).status_code == 403


def test_adding_starts_the_task_and_shows_it(world: World, client: Any) -> None:
    answer = client.post(ADD, entered(world, iops=500, initiators="iqn.2020-01.org.x:a\n"), headers=HTMX)
    task, target = Task.objects.get(), Target.objects.get()
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/tasks/{task.pk}/")
    assert (target.iqn, target.limit_iops, target.initiators) == (IQN, 500, ["iqn.2020-01.org.x:a"])
    assert [(portal.address, portal.added) for portal in target.portals.all()] == [("192.0.2.11", False)]
    assert run(task).state == "completed"


@pytest.mark.parametrize("interface", ["br0", ""])
def test_a_new_address_is_added_to_the_interface_that_was_chosen_or_is_in_its_network(
    world: World, client: Any, interface: str
) -> None:
    answer = client.post(ADD, entered(world, portals=[], address="192.0.2.50/24", interface=interface))
    assert answer.status_code == 302
    [portal] = Target.objects.get().portals.all()
    assert (portal.address, portal.interface, portal.added) == ("192.0.2.50", "br0", True)


def test_an_address_of_no_network_of_the_node_needs_an_interface(world: World, client: Any) -> None:
    away = client.post(ADD, entered(world, portals=[], address="198.51.100.7/24"))
    said = words(away.content, '//*[@id="id_interface-error"]')
    assert "primary has no interface in the network of 198.51.100.7. Choose the interface" in said
    alone = client.post(ADD, entered(world, interface="br0"))
    assert "Enter the new address" in words(alone.content, '//*[@id="id_address-error"]')


def test_another_node_changes_nothing_but_what_it_offers(world: World, client: Any) -> None:
    """What somebody enters while the answer is under way is not lost."""
    client.post(ADD, entered(world))
    for name, offered in (("primary", []), ("secondnode1", ["192.0.2.12"])):
        node = world.nodes[name].pk
        page = client.get(f"{ADD}?node={node}", headers=HTMX | {"HX-Target": "target-portals"})
        tree = html.fromstring(f"<div>{page.content.decode()}</div>")
        assert tree.xpath('//input[@name="portals"]/@value') == offered
        assert tree.xpath("//*[@hx-swap-oob]//select/@name") == ["interface"]
        assert set(tree.xpath("//*[@name]/@name")) <= {"portals", "interface"}
    said = client.get(f"{ADD}?name=Target7", headers=HTMX | {"HX-Target": "target-iqn"}).content.decode()
    assert html.fromstring(said).text == "iqn.2014-06.com.vstorage:target7"


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"name": "two words"}, "name", "cannot be a target's name"),
        ({"initiators": "nobody"}, "initiators", "Line 1 is not an initiator's full name"),
        ({"iops": "0"}, "iops", "Use 1 to"),
    ],
)
def test_what_is_wrong_is_told_under_its_field_and_all_is_kept(
    world: World, client: Any, wrong: dict[str, str], field: str, text: str
) -> None:
    answer = client.post(ADD, entered(world, **{"bandwidth": "70", **wrong}))
    assert answer.status_code == 422
    assert text in words(answer.content, f'//*[@id="id_{field}-error"]')
    assert html.fromstring(answer.content.decode()).xpath('//input[@name="bandwidth"]/@value') == ["70"]
    assert not Task.objects.exists()


def test_without_a_node_that_has_the_role_the_form_says_where_to_give_it(world: World, client: Any) -> None:
    for node in world.nodes.values():
        node.iscsi.delete()  # type: ignore[attr-defined]
    assert "No node is ready for targets." in words(client.get(ADD).content, '//*[@id="target-form"]')
    assert client.post(ADD, entered(world)).status_code == 422


def test_editing_changes_limits_and_refuses_what_somebody_changed_meanwhile(world: World, client: Any) -> None:
    target = world.target()
    url = f"{page_of(target)}edit/"
    form = html.fromstring(client.get(url).content.decode()).xpath('//*[@id="target-form"]//form')[0]
    sent = dict(form.fields) | {"iops": "900", "portals": "192.0.2.100"}
    sent = {name: value for name, value in sent.items() if value is not None}
    answer = client.post(url, sent, headers=HTMX)
    assert answer.status_code == 204, words(answer.content)
    assert run(Task.objects.latest("pk")).state == "completed"
    assert Target.objects.get().limit_iops == 900
    stale = client.post(url, sent)
    assert (stale.status_code, "Somebody changed target1" in words(stale.content)) == (422, True)


def test_stopping_says_who_is_connected_and_starting_brings_it_back(world: World, client: Any) -> None:
    target = world.target()
    connect(target)
    dialog = words(client.get(f"{page_of(target)}stop/", headers=HTMX).content)
    assert "Initiators lose all its LUNs at once." in dialog
    assert "1 initiator is connected now: iqn.a:x." in dialog
    assert client.post(f"{page_of(target)}stop/", headers=HTMX).status_code == 204
    assert run(Task.objects.latest("pk")).state == "completed"
    assert Target.objects.get().state == ServerState.STOPPED
    assert client.post(f"{page_of(target)}start/", headers=HTMX).status_code == 204
    assert run(Task.objects.latest("pk")).state == "completed"
    assert Target.objects.get().state == ServerState.RUNNING


def test_moving_takes_the_target_to_the_chosen_node(world: World, client: Any) -> None:
    target = world.target()
    dialog = html.fromstring(client.get(f"{page_of(target)}move/", headers=HTMX).content.decode())
    assert dialog.xpath('//select[@name="node"]/option/text()') == ["secondnode1"]
    node = world.nodes["secondnode1"]
    assert client.post(f"{page_of(target)}move/", {"node": node.pk}, headers=HTMX).status_code == 204
    assert run(Task.objects.latest("pk")).state == "completed"
    assert Target.objects.get().node == node


def test_deleting_wants_the_name_and_leads_to_its_task(world: World, client: Any) -> None:
    target = world.target()
    wrong = client.post(f"{page_of(target)}delete/", {"confirmation": "target2"}, headers=HTMX)
    assert (wrong.status_code, "Type target1 to confirm" in words(wrong.content)) == (422, True)
    answer = client.post(f"{page_of(target)}delete/", {"confirmation": "target1"}, headers=HTMX)
    assert answer["HX-Redirect"] == f"/tasks/{Task.objects.latest('pk').pk}/"
    assert run(Task.objects.latest("pk")).state == "completed"
    assert not Target.objects.exists()


@pytest.mark.parametrize("what", ["move", "delete"])
def test_going_on_without_a_silent_node_is_asked_for_and_ticked(world: World, client: Any, what: str) -> None:
    url = f"{page_of(world.target())}{what}/"
    box = '//input[@name="without_node"]'
    sent = {"confirmation": "target1", "node": world.nodes["secondnode1"].pk}
    assert html.fromstring(client.get(url, headers=HTMX).content.decode()).xpath(box) == []
    Node.objects.filter(name="primary").update(state="unreachable")
    dialog = client.get(url, headers=HTMX).content
    assert len(html.fromstring(dialog.decode()).xpath(box)) == 1
    assert "Go on without primary: it is switched off" in words(dialog)
    assert "switch it off first" in words(dialog)
    refused = client.post(url, sent, headers=HTMX)
    assert (refused.status_code, "say that this goes on without it" in words(refused.content)) == (422, True)
    assert html.fromstring(refused.content.decode()).xpath(f"{box}/@aria-invalid") == ["true"]
    assert client.post(url, sent | {"without_node": "on"}, headers=HTMX).status_code in (200, 204)
    assert Task.objects.latest("pk").params["without_node"] is True


def test_while_a_task_is_open_the_buttons_say_which(world: World, client: Any) -> None:
    target, task = world.ask_target()
    buttons = html.fromstring(client.get(page_of(target)).content.decode()).xpath(
        '//*[@aria-label="target1 actions"]//button/@title'
    )
    assert len(buttons) == 5
    assert all(f"Task {task.pk}" in title or "being created" in title for title in buttons)
    assert SECRET not in str(buttons)
