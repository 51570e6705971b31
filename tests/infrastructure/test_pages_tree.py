"""The tree at the side: its rows, its fragments, its filter, and what it asks of the database."""

import re
from typing import Any

import pytest
from django.conf import settings

from infrastructure.models import VE, Node
from panel.accounts.models import User
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve, silence

pytestmark = pytest.mark.django_db


def labels(client: Any, query: str = "") -> list[str]:
    answer = client.get(f"/tree/{query}")
    assert answer.status_code == 200
    return re.findall(r'role="treeitem"[^>]* aria-label="([^"]+)"', answer.content.decode())


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
    assert 'data-row="3" aria-level="3" aria-setsize="3" aria-posinset="2"' in row.group()
    assert f'href="/infrastructure/ves/{cluster["vm2"].pk}/"' in row.group()
    assert 'tabindex="-1"' in row.group()


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

    shown = labels(client_of(viewer), f"?open={cluster['primary'].pk}")

    assert shown[1] == "primary, 3 VEs, hardware node, unreachable"
    assert shown[2:5] == [
        "ct1, container, no contact",
        "vm2, virtual machine, no contact",
        "vmtest, virtual machine, no contact",
    ]


def test_ves_without_a_node_have_a_branch(viewer: User, client_of: Any) -> None:
    make_cluster()
    VE.objects.filter(name="vm2").update(node=None, state="missing")
    client = client_of(viewer)

    assert labels(client)[-1] == "Not on any node, 1 VE"
    assert labels(client, "?open=0")[-2:] == ["Not on any node, 1 VE", "vm2, virtual machine, missing"]
    assert labels(client, "?q=VM2")[1:] == ["Not on any node, 1 VE", "vm2, virtual machine, missing"]


def test_the_page_opens_what_the_user_left_open_and_the_branch_of_its_object(viewer: User, client_of: Any) -> None:
    cluster = make_cluster()
    client = client_of(viewer)
    client.cookies[f"mooring_{settings.INSTANCE}_tree"] = f"{cluster['secondnode2'].pk}.x.99999999999999999999"

    html = client.get(f"/infrastructure/ves/{cluster['vmtest'].pk}/").content.decode()
    side = html.split("<main")[0]

    assert "vmd-cli, virtual machine, running" in side
    assert "cttest" not in side
    selected = re.findall(r'aria-current="page"[^>]*aria-label="([^"]+)"', side)
    assert selected == ["vmtest, virtual machine, running"]


@pytest.mark.parametrize(
    "query",
    [
        *("?first=x", "?first=-1&rows=0", "?first=999999999&rows=99999", "?find=%00&after=x", "?q=%00", "?closed=a"),
        *("?open=1,,a&selected=ve:zz", "?open=" + "9" * 30),
    ],
)
def test_nonsense_is_answered_without_an_error(query: str, viewer: User, client_of: Any) -> None:
    make_cluster()

    assert client_of(viewer).get(f"/tree/{query}").status_code == 200


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

    for query in (f"?open={opened}", f"?open={opened}&first=100", "?q=vm-1", f"?open={opened}&find=vm-1&after=3"):
        with django_assert_max_num_queries(10):
            assert client.get(f"/tree/{query}").status_code == 200


def test_closed_branches_send_no_rows(viewer: User, client_of: Any) -> None:
    make_cluster()

    html = client_of(viewer).get("/tree/").content.decode()

    assert html.count('role="treeitem"') == 1 + Node.objects.count()
