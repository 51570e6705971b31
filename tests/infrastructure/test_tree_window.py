"""The window of the tree: any part of thousands of rows, each at its true place, and nothing else."""

import re
import uuid
from typing import Any

import pytest
from django.conf import settings

from infrastructure.models import VE, Node
from panel.accounts.models import User
from panel.accounts.roles import Role
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve

pytestmark = pytest.mark.django_db


def many(nodes: int, ves: int) -> list[Node]:
    """So many nodes, node-000 on, with so many VEs each, named by their number over all."""
    made = [make_node(f"node-{number:03}") for number in range(nodes)]
    VE.objects.bulk_create(
        VE(uuid=uuid.uuid4(), name=f"ve-{place:03}-{count:04}", kind="vm", state="running", node=node)
        for place, node in enumerate(made)
        for count in range(ves)
    )
    return made


def fetch(client: Any, **query: object) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The tree's data attributes and its rows: (number, first word of the name)."""
    answer = client.get("/tree/", query)
    assert answer.status_code == 200
    html = answer.content.decode()
    head = re.search(r'<div class="tree"[^>]*>', html)
    assert head is not None
    rows = re.findall(r'data-row="(\d+)"[^>]* aria-label="([^",]+)', html)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', head.group())), [(int(row), name) for row, name in rows]


def test_a_window_has_the_rows_that_were_asked_for(viewer: User, client_of: Any) -> None:
    nodes = many(3, 50)
    opened = ",".join(str(node.pk) for node in nodes[:2])

    tree, rows = fetch(client_of(viewer), open=opened, first=49, rows=6)

    # Root, node-000 with 50 VEs, node-001 with 50 VEs, node-002.
    assert (tree["first"], tree["end"], tree["total"]) == ("49", "55", "104")
    assert rows == [
        (49, "ve-000-0047"),
        (50, "ve-000-0048"),
        (51, "ve-000-0049"),
        (52, "node-001"),
        (53, "ve-001-0000"),
        (54, "ve-001-0001"),
    ]


@pytest.mark.parametrize("size", [7, 40])
def test_windows_side_by_side_are_the_whole_tree(size: int, viewer: User, client_of: Any) -> None:
    nodes = many(5, 12)
    make_ve("lost", None, state="missing")
    opened = ",".join(str(pk) for pk in [nodes[0].pk, nodes[1].pk, nodes[3].pk, 0])
    client = client_of(viewer)
    total = 1 + 5 + 3 * 12 + 2

    seen: list[tuple[int, str]] = []
    for first in range(0, total, size):
        seen += [row for row in fetch(client, open=opened, first=first, rows=size)[1] if row[0] >= first]

    assert [row for row, _ in seen] == list(range(total))
    assert [name for _, name in seen[:3]] == ["Infrastructure", "node-000", "ve-000-0000"]
    assert [name for _, name in seen[-3:]] == ["node-004", "Not on any node", "lost"]
    assert len({name for _, name in seen}) == total


def test_the_height_of_what_is_left_out_is_kept(viewer: User, client_of: Any) -> None:
    nodes = many(2, 300)

    html = client_of(viewer).get("/tree/", {"open": nodes[0].pk, "first": 100, "rows": 50}).content.decode()

    heights = [int(height) for height in re.findall(r'<svg class="tree-pad"[^>]* height="(\d+)"', html)]
    assert heights == [100 * 26, (303 - 150) * 26]
    assert html.count('role="treeitem"') == 50


def test_a_ve_knows_its_place_among_thousands(viewer: User, client_of: Any) -> None:
    nodes = many(1, 3000)

    html = client_of(viewer).get("/tree/", {"open": nodes[0].pk, "first": 2500, "rows": 10}).content.decode()

    assert 'data-row="2500" aria-level="3" aria-setsize="3000" aria-posinset="2499"' in html


def test_a_window_beyond_the_end_is_the_last_one(viewer: User, client_of: Any) -> None:
    many(30, 0)

    tree, rows = fetch(client_of(viewer), first=10_000, rows=10)

    assert tree["first"] == "21"
    assert rows[-1] == (30, "node-029")


def test_the_filter_counts_only_what_matches(viewer: User, client_of: Any) -> None:
    nodes = many(4, 20)
    client = client_of(viewer)

    tree, rows = fetch(client, q="-0019")
    assert tree["total"] == "9"
    assert rows[:3] == [(0, "Infrastructure"), (1, "node-000"), (2, "ve-000-0019")]

    tree, _ = fetch(client, q="-0019", closed=nodes[0].pk)
    assert tree["total"] == "8"


@pytest.mark.parametrize("query", ["%", "_", "\\"])
def test_signs_of_the_database_are_looked_for_as_they_are(query: str, viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    make_ve("vmtest", node)
    make_ve(f"a{query}b", node)

    assert [name for _, name in fetch(client_of(viewer), q=query)[1]] == ["Infrastructure", "primary", f"a{query}b"]


def test_a_name_is_found_beyond_the_window_and_again_from_the_top(viewer: User, client_of: Any) -> None:
    nodes = many(3, 100)
    opened = ",".join(str(node.pk) for node in nodes)
    client = client_of(viewer)

    assert fetch(client, open=opened, find="VE-002-0050", after=5)[0]["found"] == str(1 + 2 * 101 + 1 + 50)
    assert fetch(client, open=opened, find="node-000", after=200)[0]["found"] == "1"
    assert "found" not in fetch(client, open=opened, find="nothing", after=0)[0]
    assert "found" not in fetch(client, find="ve-", after=0)[0]  # closed branches are not searched


def test_what_the_browser_shows_already_is_not_sent_again(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    client = client_of(viewer)
    query = {"open": cluster["primary"].pk}
    mark = fetch(client, **query)[0]["mark"]

    assert client.get("/tree/", {**query, "mark": mark}).status_code == 204

    VE.objects.filter(name="vmd-cli").update(cpu_percent=99)  # no row says so
    assert client.get("/tree/", {**query, "mark": mark}).status_code == 204
    VE.objects.filter(name="vmtest").update(state="paused")
    assert client.get("/tree/", {**query, "mark": mark}).status_code == 200


def test_the_page_begins_where_the_user_was(viewer: User, client_of: Any) -> None:
    many(300, 0)
    client = client_of(viewer)
    client.cookies[f"mooring_{settings.INSTANCE}_tree"] = "_120.30"

    side = client.get("/infrastructure/nodes/").content.decode().split("<main")[0]

    rows = [int(row) for row in re.findall(r'data-row="(\d+)"', side)]
    assert (rows[0], rows[-1]) == (100, 169)
    assert 'data-top="120"' in side


def test_the_object_of_the_page_is_in_view_wherever_the_user_was(viewer: User, client_of: Any) -> None:
    nodes = many(200, 0)
    VE.objects.bulk_create(
        VE(uuid=uuid.uuid4(), name=f"ve-{number:04}", kind="vm", state="running", node=nodes[100])
        for number in range(500)
    )
    ve = VE.objects.get(name="ve-0300")

    side = client_of(viewer).get(f"/infrastructure/ves/{ve.pk}/").content.decode().split("<main")[0]

    current = re.search(r'data-row="(\d+)"[^>]*aria-current="page"', side)
    top = re.search(r'data-top="(\d+)"', side)
    assert current is not None
    assert top is not None
    assert int(current[1]) == 1 + 100 + 1 + 300
    assert int(top[1]) < int(current[1]) < int(top[1]) + 30


def test_a_range_of_rows_gives_the_ves_in_it(viewer: User, client_of: Any) -> None:
    nodes = many(3, 400)
    opened = ",".join(str(node.pk) for node in nodes)
    first = VE.objects.get(name="ve-000-0399").pk
    expected = [first, *VE.objects.filter(node=nodes[1]).order_by("name").values_list("pk", flat=True)]

    answer = client_of(viewer).get("/tree/ves/", {"open": opened, "first": 803 - 2, "last": 401})

    assert answer.json() == {"ves": expected[: 1 + 399]}


@pytest.mark.parametrize(
    ("was", "sent", "becomes"), [("", {"open": 3}, "3_0.32"), ("5.3_7.20", {"close": 3}, "5_7.20")]
)
def test_the_arrow_works_without_script(
    was: str, sent: dict[str, int], becomes: str, viewer: User, client_of: Any
) -> None:
    client = client_of(viewer)
    name = f"mooring_{settings.INSTANCE}_tree"
    client.cookies[name] = was

    answer = client.post("/tree/fold/", {**sent, "back": "/tasks/?status=open"})

    assert answer.status_code == 302
    assert answer["Location"] == "/tasks/?status=open"
    assert answer.cookies[name].value == becomes


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_arrow_leads_nowhere_else(back: str, viewer: User, client_of: Any) -> None:
    answer = client_of(viewer).post("/tree/fold/", {"open": 1, "back": back})

    assert answer["Location"] == "/infrastructure/nodes/"


def test_who_sees_one_node_sees_no_other_in_the_tree(make_user: Any, client_of: Any) -> None:
    cluster = make_cluster()
    client = client_of(make_user("ana", Role.VIEWER, scope=("node", cluster["secondnode1"].pk)))
    opened = ",".join(str(pk) for pk in Node.objects.values_list("pk", flat=True))

    tree, rows = fetch(client, open=opened)
    assert [name for _, name in rows] == ["Infrastructure", "secondnode1", "cttest", "vmd-desktop"]
    assert tree["footer"] == "1 node, 2 VEs"
    assert fetch(client, q="vmtest")[1] == [(0, "Infrastructure")]
    assert client.get("/tree/ves/", {"open": opened, "first": 0, "last": 99}).json() == {
        "ves": [cluster["cttest"].pk, cluster["vmd-desktop"].pk]
    }
