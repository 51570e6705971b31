"""The lists of nodes and VEs: what they show, find, sort, page, and how much they ask of the database."""

import re
from typing import Any

import pytest
from django.urls import reverse

from infrastructure.models import VE, Node
from panel.accounts.models import User
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve, silence

pytestmark = pytest.mark.django_db

NODES = "/infrastructure/nodes/"
VES = "/infrastructure/ves/"
PAGE_QUERIES = 20


def html_of(client: Any, path: str, status: int = 200, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    return str(answer.content.decode())


def names(html: str) -> list[str]:
    """The names in the rows, in order."""
    return re.findall(r'class="nm" href="[^"]+">([^<]+)<', html.split('id="dock"')[0].split("<main")[-1])


def test_the_root_leads_to_the_nodes(viewer: User, client_of: Any) -> None:
    answer = client_of(viewer).get("/")

    assert (answer.status_code, answer["Location"]) == (302, NODES)


@pytest.mark.parametrize("path", [NODES, VES])
@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_every_role_sees_the_lists(path: str, role: str, make_user: Any, client_of: Any) -> None:
    make_cluster()

    assert "found" in html_of(client_of(make_user("somebody", role)), path)


def test_they_say_how_many_were_found(viewer: User, client_of: Any) -> None:
    make_cluster()
    client = client_of(viewer)

    assert "3 nodes found" in html_of(client, NODES)
    assert "6 VEs found" in html_of(client, VES)
    assert "1 VE found" in html_of(client, f"{VES}?q=vmtest")


def test_a_search_keeps_only_what_matches(viewer: User, client_of: Any) -> None:
    make_cluster()
    client = client_of(viewer)

    assert names(html_of(client, f"{NODES}?q=second")) == ["secondnode1", "secondnode2"]
    assert names(html_of(client, f"{VES}?kind=ct")) == ["ct1", "cttest"]
    assert names(html_of(client, f"{VES}?status=stopped")) == ["cttest", "vm2"]
    assert names(html_of(client, f"{VES}?node=primary&address=192.0.2.174")) == ["vmtest"]


def test_a_search_without_result_says_what_is_hidden_and_how_to_end_it(viewer: User, client_of: Any) -> None:
    make_cluster()

    html = html_of(client_of(viewer), f"{VES}?q=vmx&sort=-cpu")

    assert "No VE matches “vmx”" in html
    assert "6 VEs are hidden by the filter" in html
    assert f'href="{VES}?sort=-cpu">Clear filter' in html


def test_an_empty_panel_says_what_comes_here_and_offers_to_add_a_node(
    administrator: User, viewer: User, client_of: Any
) -> None:
    html = html_of(client_of(administrator), NODES)
    assert "No hardware nodes" in html
    assert reverse("infrastructure:node_add") in html

    assert reverse("infrastructure:node_add") not in html_of(client_of(viewer), NODES)


def test_a_header_sorts_and_says_so(viewer: User, client_of: Any) -> None:
    for name, cpu in (("a", 10.0), ("b", 90.0), ("c", None)):
        make_node(name, cpu_percent=cpu)
    client = client_of(viewer)

    falling = html_of(client, f"{NODES}?sort=-cpu")
    assert names(falling) == ["b", "a", "c"]
    assert 'aria-sort="descending"><button type="submit" form="nodes-table-sort" name="sort" value="cpu"' in falling
    # What is not known is neither the lowest nor the highest.
    assert names(html_of(client, f"{NODES}?sort=cpu")) == ["a", "b", "c"]


@pytest.mark.parametrize("query", ["sort=nonsense", "sort=-", "rows=7", "rows=x", "page=99", "page=x", "status=none"])
def test_an_address_with_nonsense_still_shows_the_list(query: str, viewer: User, client_of: Any) -> None:
    make_cluster()

    assert "3 nodes found" in html_of(client_of(viewer), f"{NODES}?{query}")


@pytest.mark.parametrize(("rows", "pages"), [(19, 1), (20, 1), (21, 2), (40, 2)])
def test_a_first_page_counts_the_rows_behind_it(rows: int, pages: int, viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    for number in range(rows):
        make_ve(f"vm-{number:02}", node)
    make_ve("other", node)

    html = html_of(client_of(viewer), f"{VES}?rows=20&q=vm-")

    assert len(names(html)) == min(rows, 20)
    assert f"{rows} VEs found" in html
    assert f"Page 1 of {pages}" in html


def test_long_lists_are_paged_and_the_address_keeps_the_filter(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    for number in range(45):
        make_ve(f"vm-{number:02}", node)

    html = html_of(client_of(viewer), f"{VES}?rows=20&page=2&q=vm&sort=name")

    assert names(html)[0] == "vm-20"
    assert "21–40 of 45 VEs" in html
    assert "Page 2 of 3" in html
    assert 'href="/infrastructure/ves/?rows=20&amp;q=vm&amp;sort=name&amp;page=3" aria-label="Next page"' in html


def test_only_the_table_is_sent_when_only_the_table_is_asked_for(viewer: User, client_of: Any) -> None:
    make_cluster()

    html = html_of(client_of(viewer), NODES, **{"HX-Request": "true", "HX-Target": "nodes-table"})

    assert html.strip().startswith('<section class="card" id="nodes-table"')
    assert "<html" not in html


def test_a_silent_node_is_never_shown_with_its_last_figures(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    silence(cluster["primary"])
    client = client_of(viewer)

    row = re.search(r'<tr id="row-node-\d+">.*?>primary<.*?</tr>', html_of(client, f"{NODES}?q=primary"), re.S)
    assert row is not None
    assert "No contact 4 min" in row.group()
    assert "? / 3" in row.group()
    assert row.group().count("No data") == 2
    ves = html_of(client, f"{VES}?node=primary")
    assert ves.count('data-state="unknown"') >= 3
    assert 'CPU use of vmtest"' not in ves


def test_what_nobody_refreshes_is_not_shown_as_current(viewer: User, client_of: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    make_node("primary", observed_at=timezone.now() - timedelta(minutes=2))

    assert "No contact 2 min" in html_of(client_of(viewer), NODES)


def test_chips_count_and_select(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    silence(cluster["secondnode2"])
    Node.objects.filter(name="primary").update(maintenance=True)
    make_node("full", memory_free=1)
    client = client_of(viewer)

    assert names(html_of(client, f"{NODES}?status=attention")) == ["full", "secondnode2"]
    assert names(html_of(client, f"{NODES}?status=maintenance")) == ["primary"]
    assert "RAM 100%" in html_of(client, NODES)
    assert names(html_of(client, f"{VES}?status=attention")) == ["vmd-cli", "vmd-desktop"]


def test_a_ve_that_no_node_has_is_listed_as_missing(viewer: User, client_of: Any) -> None:
    make_cluster()
    VE.objects.filter(name="vm2").update(node=None, state="missing")
    client = client_of(viewer)

    assert names(html_of(client, f"{VES}?status=missing")) == ["vm2"]
    assert 'data-state="missing"' in html_of(client, VES)


def test_markup_in_a_name_stays_text(viewer: User, client_of: Any) -> None:
    payload = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'"
    node = make_node("primary")
    ve = make_ve(payload, node, state="crashed", state_reason=payload, os=payload, addresses=[payload])
    client = client_of(viewer)

    for path in (VES, f"{VES}?q=<script>", f"{VES}{ve.pk}/", f"{NODES}{node.pk}/", f"/tree/?open={node.pk}&q=<script>"):
        html = html_of(client, path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "&lt;script&gt;" in html


@pytest.mark.parametrize("path", [NODES, VES])
@pytest.mark.parametrize("nodes", [3, 60])
def test_a_list_asks_as_much_of_60_nodes_as_of_3(
    path: str, nodes: int, viewer: User, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(nodes):
        node = make_node(f"node-{number:02}")
        for ve in range(3):
            make_ve(f"vm-{number:02}-{ve}", node)
    client = client_of(viewer)

    with django_assert_max_num_queries(PAGE_QUERIES):
        html_of(client, f"{path}?rows=200")
