"""The pages of CHAP users and of nodes with the role: the lists, and what is done there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import html

from infrastructure.models import Node
from iscsi.choices import RoleState
from iscsi.models import ChapUser, IscsiNode
from iscsi.services import users
from panel.accounts.models import User
from tasks.models import Task
from tests.iscsi.test_pages_targets import HTMX, words
from tests.iscsi.world import SECRET, World

USERS, ADD, NODES = "/iscsi/users/", "/iscsi/users/add/", "/iscsi/nodes/"


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def test_the_list_says_where_each_is_used_in_few_queries(world: World, client: Any) -> None:
    chap = users.create(user=None, name="chap-lab", secret=SECRET)
    world.target("target1", chap_user=chap)
    world.target("target2", chap_user=chap)
    row = html.fromstring(client.get(USERS).content.decode()).xpath(f'//*[@id="row-user-{chap.pk}"]')[0]
    assert "target1" in (text := " ".join(row.itertext())) and "target2" in text
    [remove] = row.xpath('.//button[contains(., "Remove")]')
    assert (remove.get("disabled") is not None, remove.get("title")) == (True, "Used by target1, target2")
    with CaptureQueriesContext(connection) as found:
        client.get(USERS)
    assert len(found) <= 15, [query["sql"] for query in found]


def test_a_user_is_added_and_the_password_is_shown_nowhere(world: World, client: Any) -> None:
    answer = client.post(ADD, {"name": "chap-lab", "secret": SECRET}, headers=HTMX)
    assert answer.status_code == 204
    chap = ChapUser.objects.get(name="chap-lab")
    for path in (USERS, f"{USERS}{chap.pk}/password/", f"{USERS}{chap.pk}/remove/"):
        text = client.get(path).content.decode()
        assert SECRET not in text and chap.secret not in text
    assert SECRET not in answer["HX-Trigger"]


@pytest.mark.parametrize(("name", "secret"), [("chap-lab", "tooshort"), ("no spaces", "a-good-password"), ("", "x")])
def test_a_refused_form_does_not_hold_the_password(world: World, client: Any, name: str, secret: str) -> None:
    answer = client.post(ADD, {"name": name, "secret": secret}, headers=HTMX)
    assert answer.status_code == 422
    tree = html.fromstring(answer.content.decode())
    assert tree.xpath('//input[@name="secret"]/@value') == []
    assert tree.xpath('//*[contains(@class, "err")]')
    assert not ChapUser.objects.exists()


def test_all_that_is_wrong_with_a_user_is_told_at_once(world: World, client: Any) -> None:
    answer = client.post(ADD, {"name": "no spaces", "secret": "short"}, headers=HTMX)
    assert "cannot be a user's name" in words(answer.content, '//*[@id="id_name-error"]')
    assert "Use 12 to 16 characters" in words(answer.content, '//*[@id="id_secret-error"]')


def test_another_password_of_a_used_user_is_told_to_its_servers(world: World, client: Any) -> None:
    chap = users.create(user=None, name="chap-lab", secret=SECRET)
    url = f"{USERS}{chap.pk}/password/"
    assert client.post(url, {"secret": "another-secret"}, headers=HTMX).status_code == 204
    assert not Task.objects.filter(kind="iscsi.user.change_secret").exists()
    world.target(chap_user=ChapUser.objects.get())
    assert "Used by target1." in words(client.get(url, headers=HTMX).content)
    assert client.post(url, {"secret": "the-third-secret"}, headers=HTMX).status_code == 204
    assert Task.objects.get(kind="iscsi.user.change_secret").object_id == chap.pk


def test_a_user_in_use_is_not_removed_and_another_is(world: World, client: Any) -> None:
    used = users.create(user=None, name="chap-lab", secret=SECRET)
    spare = users.create(user=None, name="spare", secret=SECRET)
    world.target(chap_user=used)
    refused = client.post(f"{USERS}{used.pk}/remove/", headers=HTMX)
    assert (refused.status_code, "target1" in refused["HX-Trigger"]) == (409, True)
    assert client.post(f"{USERS}{spare.pk}/remove/", headers=HTMX).status_code == 204
    assert list(ChapUser.objects.values_list("name", flat=True)) == ["chap-lab"]


def test_nodes_with_the_role_are_listed_and_one_with_targets_keeps_it(world: World, client: Any) -> None:
    world.target()
    page = html.fromstring(client.get(NODES).content.decode())
    kept, free = (page.xpath(f'//*[@id="row-node-{world.nodes[name].pk}"]')[0] for name in ("primary", "secondnode1"))
    assert kept.xpath('.//button[contains(., "Take away")]/@title') == ["Targets live on it"]
    assert free.xpath('.//button[contains(., "Take away")][@disabled]') == []
    url = f"{NODES}{world.nodes['primary'].pk}/withdraw/"
    assert client.post(url, headers=HTMX).status_code == 409
    url = f"{NODES}{world.nodes['secondnode1'].pk}/withdraw/"
    assert client.post(url, headers=HTMX).status_code == 204
    assert Task.objects.get(kind="iscsi.role.withdraw").place == "secondnode1"


def test_a_node_is_given_the_role(world: World, client: Any) -> None:
    IscsiNode.objects.filter(node=world.nodes["secondnode1"]).delete()
    offered = html.fromstring(client.get(f"{NODES}add/", headers=HTMX).content.decode())
    assert offered.xpath('//select[@name="node"]/option/text()') == ["secondnode1"]
    node = Node.objects.get(name="secondnode1")
    assert client.post(f"{NODES}add/", {"node": node.pk}, headers=HTMX).status_code == 204
    assert IscsiNode.objects.get(node=node).state == RoleState.PREPARING
    assert client.post(f"{NODES}{world.nodes['primary'].pk}/again/", headers=HTMX).status_code == 204
