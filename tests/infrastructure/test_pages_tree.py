"""The tree at the side: its rows, its fragments, its filter, and what it asks of the database."""

import re
from typing import Any

import pytest
from django.conf import settings

from infrastructure import tree
from infrastructure.models import VE, Node
from panel.accounts.models import User
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve, silence

pytestmark = pytest.mark.django_db


def labels(client: Any, query: str = "") -> list[str]:
    answer = client.get(f"/tree/{query}")
    assert answer.status_code == 200
    return re.findall(r'aria-label="([^"]+)"', answer.content.decode())


def test_it_names_nodes_and_ves_with_kind_and_state(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()

    shown = labels(client_of(viewer), f"?open={cluster['primary'].pk}")

    assert shown == [
        "Infrastructure, 6 VEs, root",
        "primary, 3 VEs, hardware node, running",
        "ct1, container, running",
        "vm2, virtual machine, stopped",
        "vmtest, virtual machine, running",
        "secondnode1, 2 VEs, hardware node, running",
        "secondnode2, 1 VE, hardware node, running",
    ]


def test_rows_carry_their_true_place(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()

    html = client_of(viewer).get(f"/tree/?open={cluster['primary'].pk}").content.decode()

    row = re.search(rf'<a [^>]*id="t-ve-{cluster["vm2"].pk}"[^>]*>', html)
    assert row is not None
    assert 'aria-level="3" aria-setsize="3" aria-posinset="2"' in row.group()
    assert f'href="/infrastructure/ves/{cluster["vm2"].pk}/"' in row.group()
    assert 'tabindex="-1"' in row.group()


def test_one_branch_can_be_asked_for(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()

    assert labels(client_of(viewer), f"?node={cluster['secondnode1'].pk}") == [
        "secondnode1, 2 VEs, hardware node, running",
        "cttest, container, stopped",
        "vmd-desktop, virtual machine, paused",
    ]


def test_a_branch_knows_its_place_among_all_nodes(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()

    html = client_of(viewer).get(f"/tree/?node={cluster['secondnode1'].pk}").content.decode()

    assert 'aria-level="2" aria-setsize="3" aria-posinset="2"' in html


def test_changes_bring_the_branches_they_are_in_and_no_other(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    client = client_of(viewer)
    second = cluster["secondnode1"].pk

    # vmtest moved from primary to secondnode1, of which only the latter is open.
    VE.objects.filter(name="vmtest").update(node=second)
    shown = labels(client, f"?nodes={cluster['primary'].pk}&ves={cluster['vmtest'].pk}&open={second}")

    assert shown == [
        "primary, 2 VEs, hardware node, running",
        "secondnode1, 3 VEs, hardware node, running",
        "cttest, container, stopped",
        "vmd-desktop, virtual machine, paused",
        "vmtest, virtual machine, running",
    ]


def test_the_filter_keeps_parents_and_marks_the_match(viewer: User, client_of: Any) -> None:
    make_cluster()
    client = client_of(viewer)

    assert labels(client, "?q=VMD") == [
        "Infrastructure, 6 VEs, root",
        "secondnode1, 2 VEs, hardware node, running",
        "vmd-desktop, virtual machine, paused",
        "secondnode2, 1 VE, hardware node, running",
        "vmd-cli, virtual machine, running",
    ]
    assert "<mark>vmd</mark>-cli" in client.get("/tree/?q=VMD").content.decode()
    assert "No node or VE matches “zzz”" in client.get("/tree/?q=zzz").content.decode()


def test_a_node_that_matches_keeps_all_its_ves(viewer: User, client_of: Any) -> None:
    make_cluster()

    assert labels(client_of(viewer), "?q=secondnode1")[1:] == [
        "secondnode1, 2 VEs, hardware node, running",
        "cttest, container, stopped",
        "vmd-desktop, virtual machine, paused",
    ]


def test_a_silent_node_claims_nothing_about_its_ves(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    silence(cluster["primary"])

    shown = labels(client_of(viewer), f"?node={cluster['primary'].pk}")

    assert shown[0] == "primary, 3 VEs, hardware node, unreachable"
    assert shown[1:] == [
        "ct1, container, no contact",
        "vm2, virtual machine, no contact",
        "vmtest, virtual machine, no contact",
    ]


def test_ves_without_a_node_have_a_branch(viewer: User, client_of: Any) -> None:
    make_cluster()
    VE.objects.filter(name="vm2").update(node=None, state="missing")
    client = client_of(viewer)

    assert labels(client)[-1] == "Not on any node, 1 VE"
    assert labels(client, "?node=0") == ["Not on any node, 1 VE", "vm2, virtual machine, missing"]


def test_the_page_opens_what_the_user_left_open_and_the_branch_of_its_object(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    client = client_of(viewer)
    client.cookies[f"mooring_{settings.INSTANCE}_tree"] = f"{cluster['secondnode2'].pk}.x.99999999999999999999"

    html = client.get(f"/infrastructure/ves/{cluster['vmtest'].pk}/").content.decode()
    side = html.split("<main")[0]

    assert "vmd-cli, virtual machine, running" in side
    assert "cttest" not in side
    selected = re.findall(r'aria-selected="true" aria-current="page"[^>]*aria-label="([^"]+)"', side)
    assert selected == ["vmtest, virtual machine, running"]


@pytest.mark.parametrize(
    "query", ["?node=x", "?node=", "?nodes=-1&ves=%00", "?open=1,,a&selected=ve:zz", "?ves=" + "9" * 30]
)
def test_nonsense_is_answered_without_an_error(query: str, viewer: User, client_of: Any) -> None:
    make_cluster()

    assert client_of(viewer).get(f"/tree/{query}").status_code == 200


def test_a_node_with_many_ves_shows_the_first_and_a_way_to_the_rest(
    viewer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "CHILDREN_SHOWN", 5)
    node = make_node("primary")
    for number in range(17):
        make_ve(f"vm-{number:02}", node)

    shown = labels(client_of(viewer), f"?node={node.pk}")

    assert shown[-2:] == ["vm-04, virtual machine, running", "… 12 more: open the node"]


def test_among_many_nodes_the_current_one_is_shown_at_its_true_place(
    viewer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "NODES_SHOWN", 4)
    made = [make_node(f"node-{number}") for number in range(9)]
    last = make_ve("vmtest", made[7])

    html = client_of(viewer).get(f"/tree/?selected=ve:{last.pk}").content.decode()

    shown = re.findall(r'aria-label="([^",]+)', html)
    assert shown == ["Infrastructure", "node-0", "node-1", "node-2", "node-3", "node-7", "vmtest", shown[-1]]
    assert shown[-1].startswith("… 4 more")
    row = re.search(rf'<a [^>]*id="t-node-{made[7].pk}"[^>]*>', html)
    assert row is not None
    assert 'aria-setsize="9" aria-posinset="8"' in row.group()


def test_a_filter_that_matches_very_much_shows_a_part_and_says_so(
    viewer: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MATCHES_SHOWN", 5)
    for name in ("primary", "secondnode1"):
        node = make_node(name)
        for number in range(4):
            make_ve(f"vm-{name}-{number}", node)

    shown = labels(client_of(viewer), "?q=vm")

    assert sum("virtual machine" in label for label in shown) == 5
    assert shown[-1] == "… and more: type more of the name"


@pytest.mark.parametrize(("nodes", "ves"), [(3, 3), (150, 20)])
def test_it_needs_few_queries_whatever_the_size(
    nodes: int, ves: int, viewer: User, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    made = [make_node(f"node-{number:03}") for number in range(nodes)]
    template = make_ve("vm", made[0])
    VE.objects.bulk_create(
        VE(uuid=f"00000000-0000-4000-8000-{number:012}", name=f"vm-{number}", kind="vm", state="running", node=node)
        for number, node in enumerate(node for node in made for _ in range(ves))
    )
    assert template.node is not None
    client = client_of(viewer)
    opened = ",".join(str(node.pk) for node in made[:10])

    with django_assert_max_num_queries(10):
        assert client.get(f"/tree/?open={opened}").status_code == 200
    with django_assert_max_num_queries(10):
        assert client.get("/tree/?q=vm-1").status_code == 200
    with django_assert_max_num_queries(10):
        assert client.get(f"/tree/?nodes={opened}&open={opened}").status_code == 200


def test_closed_branches_send_no_rows(viewer: User, client_of: Any) -> None:
    make_cluster()

    html = client_of(viewer).get("/tree/").content.decode()

    assert html.count('role="treeitem"') == 1 + Node.objects.count()
