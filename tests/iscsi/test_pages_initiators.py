"""The list of initiators: a row for each session, and what is said of those that nobody knows of now."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from iscsi import filters
from iscsi.choices import ServerState
from iscsi.models import Target
from iscsi.services.observed import mark_unreachable
from panel.accounts.models import User
from tests.iscsi.test_pages_targets import HTMX, words
from tests.iscsi.world import World

LIST = "/iscsi/initiators/"
NAME = "iqn.1993-08.org.debian:01:"


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def connect(target: Target, *sessions: tuple[str, str]) -> None:
    """What the target's server told just now: (initiator, address)."""
    told = [{"initiator": initiator, "address": address} for initiator, address in sessions]
    Target.objects.filter(pk=target.pk).update(sessions=told, checked_at=timezone.now())


def rows(content: bytes) -> list[str]:
    found = html.fromstring(content.decode()).xpath('//tr[starts-with(@id, "row-session-")]')
    return [" ".join(" ".join(row.itertext()).split()) for row in found]


def column(client: Any, query: str, number: int) -> list[str]:
    page = html.fromstring(client.get(f"{LIST}?{query}").content.decode())
    return page.xpath(f'//tr[starts-with(@id, "row-session-")]/td[{number}]//text()[normalize-space()]')


def test_each_session_has_a_row_and_the_tab_counts_them(world: World, client: Any) -> None:
    backup, other = world.target("backup"), world.target("other", "secondnode1")
    connect(backup, (f"{NAME}a", "192.0.2.31"), (f"{NAME}a", "192.0.2.32"))
    connect(other, (f"{NAME}b", "192.0.2.33"))
    page = client.get(LIST).content
    first, second, third = rows(page)
    assert first.startswith(f"Connected {NAME}a 192.0.2.31 backup primary")
    assert second.startswith(f"Connected {NAME}a 192.0.2.32 backup primary")
    assert third.startswith(f"Connected {NAME}b 192.0.2.33 other secondnode1")
    tree = html.fromstring(page.decode())
    assert words(page, '//*[@role="tab"][@aria-selected="true"]') == "Initiators 3"
    assert "3 sessions found" in words(page, '//*[@id="initiators-table"]')
    link = tree.xpath(f'//*[@id="row-session-{other.pk}-0"]//a')[0]
    assert (link.text, link.get("href")) == ("other", f"/iscsi/targets/{other.pk}/")


def test_the_tab_counts_on_every_page_and_as_none_where_nobody_is(world: World, client: Any) -> None:
    tab = '//*[@role="tab"][contains(., "Initiators")]'
    assert words(client.get("/iscsi/").content, tab) == "Initiators 0"
    connect(world.target(), (NAME, "192.0.2.31"))
    for path in ("/iscsi/", "/iscsi/luns/", "/iscsi/users/", "/iscsi/nodes/"):
        assert words(client.get(path).content, tab) == "Initiators 1"


def test_sessions_of_a_node_that_does_not_answer_are_marked_as_old(world: World, client: Any) -> None:
    silent, there = world.target("silent"), world.target("there", "secondnode1")
    connect(silent, (f"{NAME}a", "192.0.2.31"))
    connect(there, (f"{NAME}b", "192.0.2.32"))
    mark_unreachable([silent.pk], "primary does not answer: No route to host")
    Target.objects.filter(pk=silent.pk).update(checked_at=timezone.now() - timedelta(minutes=5))
    page = html.fromstring(client.get(LIST).content.decode())
    old, current = (page.xpath(f'//*[@id="row-session-{each.pk}-0"]')[0] for each in (silent, there))
    assert (old.get("class"), current.get("class")) == ("off", None)
    assert [row.xpath("./td[1]//@data-state") for row in (old, current)] == [["unreachable"], ["connected"]]
    assert old.xpath("./td[1]/@title") == ["primary does not answer: No route to host"]
    assert "No contact" in old.text_content() and "5 min ago" in old.text_content()


def test_sessions_that_were_not_looked_at_lately_are_marked_as_old(world: World, client: Any) -> None:
    connect(world.target(), (NAME, "192.0.2.31"))
    Target.objects.update(checked_at=timezone.now() - timedelta(minutes=5))
    assert rows(client.get(LIST).content)[0].startswith(f"No data {NAME}")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=DEBIAN", ["a", "b"]),
        ("q=01:b", ["b"]),
        ("address=2.32", ["b"]),
        ("target=backup", ["a"]),
        ("target=vstorage:other", ["b"]),
        ("node=second", ["b"]),
        ("q=debian&node=primary", ["a"]),
        ("q=nobody", []),
        ("q=%00", ["a", "b"]),
    ],
)
def test_the_list_is_searched_by_initiator_address_target_and_node(
    world: World, client: Any, query: str, found: list[str]
) -> None:
    connect(world.target("backup"), (f"{NAME}a", "192.0.2.31"))
    connect(world.target("other", "secondnode1"), (f"{NAME}b", "192.0.2.32"))
    assert column(client, query, 2) == [f"{NAME}{each}" for each in found]
    if not found:
        assert "2 sessions are hidden by the filter." in words(client.get(f"{LIST}?{query}").content, "//main")


@pytest.mark.parametrize(
    ("sort", "place", "order"),
    [
        ("", 2, ["iqn.a:1", "iqn.a:2", "iqn.a:3"]),
        ("-name", 2, ["iqn.a:3", "iqn.a:2", "iqn.a:1"]),
        ("address", 3, ["192.0.2.9", "192.0.2.10", "2001:db8::1"]),  # as numbers, not as texts
        ("-address", 3, ["2001:db8::1", "192.0.2.10", "192.0.2.9"]),
        ("-target", 4, ["other", "backup", "backup"]),
        ("node", 5, ["primary", "primary", "secondnode1"]),
        ("-node", 2, ["iqn.a:3", "iqn.a:1", "iqn.a:2"]),  # those that are equal stay in their order
        ("no-such-column", 2, ["iqn.a:1", "iqn.a:2", "iqn.a:3"]),
    ],
)
def test_the_list_is_sorted(world: World, client: Any, sort: str, place: int, order: list[str]) -> None:
    connect(world.target("other", "secondnode1"), ("iqn.a:3", "2001:db8::1"))
    connect(world.target("backup"), ("iqn.a:1", "192.0.2.10"), ("iqn.a:2", "192.0.2.9"))
    assert column(client, f"sort={sort}", place) == order


def test_the_list_has_pages(world: World, client: Any) -> None:
    connect(world.target(), *((f"iqn.a:{number:02}", "192.0.2.31") for number in range(45)))
    page = client.get(f"{LIST}?rows=20&page=3").content
    assert [row.split()[1] for row in rows(page)] == [f"iqn.a:{number}" for number in range(40, 45)]
    assert "41–45 of 45 sessions" in words(page, '//*[@id="initiators-table"]')


def test_of_very_many_the_first_are_listed_and_a_filter_finds_the_others(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "MOST_SESSIONS", 2)
    connect(world.target(), *((f"iqn.a:{number}", "192.0.2.31") for number in range(4)))
    page = client.get(LIST).content
    assert len(rows(page)) == 2
    assert "The first 2 sessions; filter for others" in words(page, '//*[@id="initiators-table"]')
    assert column(client, "q=iqn.a:3", 2) == ["iqn.a:3"]


def test_the_list_takes_few_queries_however_many_there_are(world: World, client: Any) -> None:
    for number in range(4):
        connect(world.target(f"target{number}"), (f"{NAME}a", "192.0.2.31"), (f"{NAME}b", "192.0.2.32"))
    client.get(LIST)
    for headers, most in (({}, 16), (HTMX | {"HX-Target": "initiators-table"}, 11)):
        with CaptureQueriesContext(connection) as found:
            assert len(rows(client.get(LIST, headers=headers).content)) == 8
        assert len(found) <= most, [query["sql"] for query in found]


def test_a_name_that_an_initiator_claims_is_text_and_nothing_else(world: World, client: Any) -> None:
    """It comes from the network, from whoever may reach the portal."""
    target = world.target()
    name = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    connect(target, (name, "<b>192.0.2.31</b>"))
    for path in (LIST, f"{LIST}?q=<script>&sort=-name", f"/iscsi/targets/{target.pk}/"):
        page = html.fromstring(client.get(path).content.decode())
        assert not page.xpath("//script[contains(., 'alert')] | //img | //main//td/b"), path
        assert name in page.xpath("//main//td[contains(@class, 'mono')]/text()"), path
    assert column(client, "q=<script>", 3) == ["<b>192.0.2.31</b>"]
    dialog = html.fromstring(client.get(f"/iscsi/targets/{target.pk}/stop/", headers=HTMX).content.decode())
    assert name in dialog.text_content() and not dialog.xpath("//script | //img")


def test_without_anybody_the_list_says_what_to_do(world: World, client: Any) -> None:
    assert "There is no target yet" in words(client.get(LIST).content, '//*[@id="initiators-table"]')
    connect(target := world.target())
    text = words(client.get(LIST).content, '//*[@id="initiators-table"]')
    assert "Nobody is connected" in text and "discover the targets at a portal IP, port 3260, then log in" in text
    mark_unreachable([target.pk], "primary does not answer")
    text = words(client.get(LIST).content, '//*[@id="initiators-table"]')
    assert "Who is connected to target1 is not known now." in text and "Nobody" not in text
    Target.objects.update(started=False, state=ServerState.STOPPED)
    assert "Nobody is connected" in words(client.get(LIST).content, '//*[@id="initiators-table"]')


def test_a_viewer_sees_it(world: World, make_user: Callable[..., User], client_of: Callable[[User], Any]) -> None:
    connect(world.target(), (NAME, "192.0.2.31"))
    assert len(rows(client_of(make_user("vera", "viewer")).get(LIST).content)) == 1
