"""The menus of rows: what the page of a target or LUN offers, with the same reasons, one step earlier."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import html

from infrastructure.views.actions import NO_ROLE
from iscsi.choices import ServerState
from iscsi.models import Lun, Target
from panel.accounts.models import User
from tasks.models import Task, TaskLock
from tests.infrastructure.fake_nodes import run
from tests.iscsi.test_pages_targets import HTMX
from tests.iscsi.world import World

Offered = list[tuple[str, str, str]]  # label, address, and why it cannot be used


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def address(element: Any) -> str:
    forms = element.xpath("ancestor::form/@hx-post")
    return element.get("href") or element.get("hx-get") or "".join(forms[-1:])


def of_page(client: Any, path: str) -> Offered:
    [bar] = html.fromstring(client.get(path).content.decode()).xpath('//*[@id="page-title"]//*[@role="toolbar"]')
    found = bar.xpath(".//button | .//a")
    return [(each.text_content().strip(), address(each), each.get("title") or "") for each in found]


def of_menu(client: Any, path: str) -> Offered:
    tree = html.fromstring(f"<div>{client.get(f'{path}menu/', headers=HTMX).content.decode()}</div>")
    found = []
    for item in tree.xpath('//*[@role="menuitem"]'):
        why = "".join(item.xpath('.//*[@class="why"]/text()'))
        assert bool(why) == (item.get("aria-disabled") == "true")
        found.append((item.text_content().strip().removesuffix(why), address(item), why))
    return found


def menu_of(client: Any, path: str, row: str) -> tuple[str, str]:
    """(name, address) of the menu's button in a row of a list."""
    page = html.fromstring(client.get(path).content.decode())
    [button] = page.xpath(f'//*[@id="{row}"]//button[@aria-haspopup="menu"][@hx-target="#row-menu"]')
    return button.get("aria-label"), button.get("hx-get")


def hold(key: str) -> Task:
    task = Task.objects.latest("pk")
    TaskLock.objects.create(task=task, key=key)
    return task


def test_rows_have_named_menus_wherever_they_stand(world: World, client: Any) -> None:
    target = world.target()
    lun, named = world.lun(target, 1), world.lun(target, 2, name="db")
    page = f"/iscsi/targets/{target.pk}/"
    assert menu_of(client, "/iscsi/", f"row-target-{target.pk}") == ("Actions for target1", f"{page}menu/")
    for path, row in (("/iscsi/luns/", "row-lun"), (page, "lun")):
        url = f"/iscsi/luns/{lun.pk}/menu/"
        assert menu_of(client, path, f"{row}-{lun.pk}") == ("Actions for LUN 1 of target1", url)
        assert menu_of(client, path, f"{row}-{named.pk}")[0] == "Actions for db"


@pytest.mark.parametrize(
    ("columns", "words", "refused"),
    [
        ({}, ["Add LUN", "Edit", "Stop…", "Move…", "Delete…"], 0),
        ({"started": False, "state": ServerState.STOPPED}, ["Add LUN", "Edit", "Start", "Move…", "Delete…"], 0),
        ({"stage": "failed"}, ["Add LUN", "Edit", "Stop…", "Move…", "Delete…"], 4),
    ],
)
def test_a_target_offers_in_its_row_what_its_page_offers(
    world: World, client: Any, columns: dict[str, Any], words: list[str], refused: int
) -> None:
    path = f"/iscsi/targets/{world.target().pk}/"
    Target.objects.update(**columns)
    found = of_menu(client, path)
    assert found == of_page(client, path)
    assert [label for label, _, _ in found] == words
    assert sum(bool(why) for _, _, why in found) == refused


@pytest.mark.parametrize(
    ("columns", "words", "refused"),
    [
        ({}, ["Grow…", "Take snapshot…", "Detach…", "Delete…"], 0),
        ({"target": None, "number": None, "served": False}, ["Grow…", "Take snapshot…", "Attach…", "Delete…"], 0),
        ({"stage": "broken"}, ["Grow…", "Take snapshot…", "Detach…", "Delete…"], 3),
    ],
)
def test_a_lun_offers_in_its_row_what_its_page_offers(
    world: World, client: Any, columns: dict[str, Any], words: list[str], refused: int
) -> None:
    path = f"/iscsi/luns/{world.lun(world.target()).pk}/"
    Lun.objects.update(**columns)
    found = of_menu(client, path)
    assert found == of_page(client, path)
    assert [label for label, _, _ in found] == words
    assert sum(bool(why) for _, _, why in found) == refused


def test_while_a_task_holds_the_target_the_menus_say_which(world: World, client: Any) -> None:
    target = world.target()
    lun = world.lun(target)
    task = hold(f"target:{target.pk}")
    for path in (f"/iscsi/targets/{target.pk}/", f"/iscsi/luns/{lun.pk}/"):
        found = of_menu(client, path)
        assert found == of_page(client, path)
        assert all(why == f"Task {task.pk} is running: {task.title}" for _, _, why in found)


def test_a_viewer_reads_why_nothing_can_be_done(
    world: World, make_user: Callable[..., User], client_of: Callable[[User], Any]
) -> None:
    lun = world.lun(world.target())
    viewer = client_of(make_user("vera", "viewer"))
    for path in (f"/iscsi/targets/{lun.target_id}/", f"/iscsi/luns/{lun.pk}/"):
        found = of_menu(viewer, path)
        assert found == of_page(viewer, path)
        assert {why for _, _, why in found} == {NO_ROLE}


def test_a_stopped_target_is_started_from_its_row(world: World, client: Any) -> None:
    target = world.target()
    Target.objects.update(started=False, state=ServerState.STOPPED)
    [(_, url, _)] = [each for each in of_menu(client, f"/iscsi/targets/{target.pk}/") if each[0] == "Start"]
    assert client.post(url, headers=HTMX).status_code == 204
    assert run(Task.objects.latest("pk")).state == "completed"
    assert Target.objects.get().state == ServerState.RUNNING


def test_a_row_that_is_gone_has_no_menu(world: World, client: Any) -> None:
    for path in ("/iscsi/targets/9/menu/", "/iscsi/luns/9/menu/"):
        assert client.get(path, headers=HTMX).status_code == 404
