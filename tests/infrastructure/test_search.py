"""Search whole system: what is found, by what, and by whom."""

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse

from infrastructure.models import VE, VEWords
from infrastructure.services.words import write_words
from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.search import registry
from tasks.models import Task, TaskTarget
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true", "HX-Target": "search-results"}


def found(client: Any, text: str, scope: str = "all") -> dict[str, list[str]]:
    """The list below the field: group → names, "Show all …" last."""
    answer = client.get("/search/", {"q": text, "scope": scope}, headers=FRAGMENT)
    assert answer.status_code == 200
    groups: dict[str, list[str]] = {}
    for part in answer.content.decode().split('role="group"')[1:]:
        title = re.search(r'role="presentation">([^<]+)<', part)
        assert title is not None
        names = re.findall(r'role="option".*?<span class="nm">(.*?)</span>', part)
        options = [re.sub(r"</?mark>", "", name) for name in names]
        groups[title[1]] = [*options, *re.findall(r"Show all [^<]+", part)]
    return groups


def make_task(title: str, *targets: Any) -> Task:
    task = Task.objects.create(kind="ve.start", title=title, queue="default", params_hash="x", state="completed")
    for target in targets:
        TaskTarget.objects.create(
            task=task, object_type=type(target).__name__.lower(), object_id=target.pk, object_name=target.name
        )
    return task


def test_a_part_of_the_name_is_enough_in_any_case(viewer: User, client_of: Any) -> None:
    make_cluster()

    assert found(client_of(viewer), "VMD") == {"VEs": ["vmd-cli", "vmd-desktop"]}
    assert found(client_of(viewer), "NODE1") == {"Nodes": ["secondnode1"]}


def test_every_kind_is_found_at_once(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    make_node("vmtest-host")
    make_task("Starting Virtual Environment vmtest", cluster["vmtest"])

    assert found(client_of(viewer), "vmtest") == {
        "Nodes": ["vmtest-host"],
        "VEs": ["vmtest"],
        "Tasks": ["Starting Virtual Environment vmtest"],
    }


@pytest.mark.parametrize("text", ["5c0ffee0-1", "0ffee0-1234-4abc", "5C0FFEE0"])
def test_a_uuid_is_found_by_a_part(text: str, viewer: User, client_of: Any) -> None:
    number = uuid.UUID("5c0ffee0-1234-4abc-8def-000000000001")
    make_ve("vmtest", make_node("primary"), uuid=number)
    make_node("other", uuid=number)

    assert found(client_of(viewer), text) == {"Nodes": ["other"], "VEs": ["vmtest"]}


def test_addresses_are_found_and_shown(viewer: User, client_of: Any) -> None:
    node = make_node("primary", address="198.51.100.7")
    nic = {"mac": "52:54:00:AB:cd:ef", "network": "default", "addresses": ["2001:db8::5"]}
    make_ve("vmtest", node, addresses=["203.0.113.9"], nics=[nic])
    client = client_of(viewer)

    assert found(client, "100.7") == {"Nodes": ["primary"]}
    for text in ("0.113.9", "54:00:ab:CD", "2001:DB8::5"):
        assert found(client, text) == {"VEs": ["vmtest"]}, text
        assert found(client, text, "addresses") == {"Addresses": ["vmtest"]}
    assert found(client, "vmtest", "addresses") == {}
    html = client.get("/search/", {"q": "00:ab"}, headers=FRAGMENT).content.decode()
    assert "52:54:<mark>00:AB</mark>:cd:ef" in html
    assert found(client, "default") == {}  # words of the data's form are no words of the VE


def test_a_rack_finds_its_nodes(viewer: User, client_of: Any) -> None:
    make_node("primary", room="hall 1", rack="r17")

    assert found(client_of(viewer), "R17") == {"Nodes": ["primary"]}


def test_a_scope_searches_nothing_else(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    make_task("Starting Virtual Environment vmtest", cluster["vmtest"])
    make_node("vmtest-host")

    for scope, group in (("nodes", "Nodes"), ("ves", "VEs"), ("tasks", "Tasks")):
        assert list(found(client_of(viewer), "vmtest", scope)) == [group]


@pytest.mark.parametrize("text", ["%", "_", "\\", "a%b", "<b>", "' OR 1=1 --", "]]>"])
def test_special_signs_are_looked_for_as_they_are(text: str, viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    make_ve("vmtest", node)
    client = client_of(viewer)
    assert found(client, text) == {}

    make_ve(f"x{text}y", node)
    answer = client.get("/search/", {"q": text}, headers=FRAGMENT).content.decode()
    assert answer.count('role="option"') == 1
    assert "<b>" not in answer


def test_what_begins_with_the_text_comes_first(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    for name in ("a-web", "web-2", "b-web", "web-1"):
        make_ve(name, node)

    assert found(client_of(viewer), "web") == {"VEs": ["web-1", "web-2", "a-web", "b-web"]}


def test_many_results_lead_to_the_list_of_just_these(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    for number in range(23):
        make_ve(f"shop-{number:02}", node, addresses=[f"203.0.113.{number}"])
    make_ve("other", node)
    client = client_of(viewer)

    shown = found(client, "shop")["VEs"]
    assert len(shown) == 8 + 1
    assert shown[-1] == "Show all 23 VEs"
    html = client.get("/search/", {"q": "shop"}, headers=FRAGMENT).content.decode()
    assert f'href="{reverse("infrastructure:ves")}?q=shop"' in html
    listed = client.get("/infrastructure/ves/", {"q": "shop"}).content.decode()
    assert "23 VEs found" in listed
    # The list filters by name: what was found by address is listed by the search itself.
    html = client.get("/search/", {"q": "203.0.113"}, headers=FRAGMENT).content.decode()
    assert 'href="/search/?q=203.0.113&amp;scope=ves"' in html


def test_the_page_of_results_works_by_its_address_alone(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    for number in range(230):
        make_ve(f"10-{number:03}", node)
    client = client_of(viewer)

    html = client.get("/search/", {"q": "10-", "scope": "ves", "page": "3"}).content.decode()

    assert "<h1>Results for “10-”</h1>" in html
    assert "201–230 of 230" in html
    assert html.count('class="hit"') == 30
    assert 'href="/search/?q=10-&amp;scope=ves&amp;page=2"' in html
    assert 'value="10-"' in html
    assert '<option value="ves" selected>' in html
    assert html.count('role="option"') == 0


@pytest.mark.parametrize("query", ["", "?q=", "?q=%00", "?q=x&scope=nothing", "?q=x&scope=ves&page=99", "?q=x&page=-1"])
def test_odd_addresses_are_answered(query: str, viewer: User, client_of: Any) -> None:
    make_cluster()
    for headers in ({}, FRAGMENT):
        assert client_of(viewer).get(f"/search/{query}", headers=headers).status_code == 200


def test_a_very_long_text_is_cut(viewer: User, client_of: Any) -> None:
    html = client_of(viewer).get("/search/", {"q": "x" * 5000}).content.decode()

    assert f"<h1>Results for “{'x' * 100}”</h1>" in html


def test_a_task_is_found_by_its_number_first(viewer: User, client_of: Any) -> None:
    tasks = [make_task(f"Starting Virtual Environment vm{number}") for number in range(20)]
    wanted = tasks[3]
    for task in tasks[4:]:
        Task.objects.filter(pk=task.pk).update(title=f"{task.title} after {wanted.pk}")
    client = client_of(viewer)

    for text in (str(wanted.pk), f"#{wanted.pk}"):
        assert found(client, text, "tasks")["Tasks"][0] == wanted.title
    assert found(client, "9" * 40, "tasks") == {}


def test_who_sees_one_node_finds_nothing_of_another(make_user: Any, client_of: Any) -> None:
    cluster = make_cluster()
    make_task("Starting Virtual Environment vmtest", cluster["vmtest"])
    make_task("Starting Virtual Environment cttest", cluster["cttest"])
    client = client_of(make_user("ana", Role.VIEWER, scope=("node", cluster["secondnode1"].pk)))

    assert found(client, "test") == {"VEs": ["cttest"], "Tasks": ["Starting Virtual Environment cttest"]}
    assert found(client, "secondnode") == {"Nodes": ["secondnode1"]}
    assert found(client, "192.0.2.174") == {}
    page = client.get("/search/", {"q": "vmtest", "scope": "ves"}).content.decode()
    assert "0 found" in page


def test_who_has_no_role_has_nothing_to_search(make_user: Any) -> None:
    assert registry.sources_for(make_user("nobody")) == []
    assert registry.sources_for(AnonymousUser()) == []  # type: ignore[arg-type]


def test_it_needs_few_queries_whatever_is_found(
    viewer: User, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    node = make_node("primary")
    for number in range(40):
        make_ve(f"shop-{number:02}", node)
        make_task(f"Starting shop-{number:02}")
    client = client_of(viewer)

    with django_assert_max_num_queries(13):
        assert len(found(client, "shop")) == 2


def test_a_ve_is_found_by_what_it_is_called_now(viewer: User, client_of: Any) -> None:
    ve = make_ve("before", make_node("primary"))
    ve.name = "after"
    ve.addresses = ["203.0.113.77"]
    ve.save()
    client = client_of(viewer)

    assert found(client, "before") == {}
    assert found(client, "after") == {"VEs": ["after"]}
    assert found(client, "113.77") == {"VEs": ["after"]}
    ve.delete()
    assert VEWords.objects.count() == 0


def test_words_of_many_ves_are_written_in_few_statements(django_assert_max_num_queries: Any) -> None:
    ves = VE.objects.bulk_create(VE(uuid=uuid.uuid4(), name=f"vm-{number}", kind="vm") for number in range(900))

    with django_assert_max_num_queries(4):
        write_words(ves)

    assert VEWords.objects.filter(names__startswith="vm-").count() == 900
