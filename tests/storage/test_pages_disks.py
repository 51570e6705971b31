"""Nodes and disks: what the list shows, finds and asks."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.accounts.models import User
from storage.models import Cluster
from tests.infrastructure.page_rows import make_node
from tests.storage.samples import cluster_facts, make_cluster

pytestmark = pytest.mark.django_db

PATH = "/storage/disks/"
MOST_QUERIES, MOST_OF_REGION = 14, 9  # as the other lists, filtered or not


def html_of(client: Any, path: str = PATH) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode()).split("<main")[1].split("</main>")[0]


def disks(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="row-disk-([0-9]+)"', html)]


def row(html: str, number: int) -> str:
    return html.split(f'id="row-disk-{number}"')[1].split("</tr>")[0]


def mixed() -> Cluster:
    """Disk 0 offline, 1 failed, 2 releasing, 3 of no tier; tiers 1 and 2 in turn."""
    facts = cluster_facts()
    changed = (
        replace(facts.disks[0], up=False),
        replace(facts.disks[1], up=False, taken=False),
        replace(facts.disks[2], taken=False),
        replace(facts.disks[3], device_class="hdd"),
    )
    return make_cluster(facts=replace(facts, disks=(*changed, *facts.disks[4:])))


def test_each_disk_says_where_it_is_what_it_holds_and_how_fast_it_is(
    viewer: User, cluster: Cluster, client_of: Any
) -> None:
    node = make_node("primary")

    html = html_of(client_of(viewer))

    assert "9 disks found" in html
    first = row(html, 0)
    assert f'<a href="/infrastructure/nodes/{node.pk}/">primary</a>' in first
    assert 'aria-label="Fill of CS0"' in first
    for text in ("Ok", "CS0", "Tier 1", "25%", "4 GiB", "2 ms", "32"):
        assert text in first


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=CS3", [3]),
        ("q=osd.4", [4]),
        ("q=5", [5]),
        ("host=secondnode2", [6, 7, 8]),
        ("tier=2", [1, 4, 7]),
        ("tier=none", [3]),
        ("status=offline", [0]),
        ("status=failed", [1]),
        ("status=releasing", [2]),
        ("status=no-tier", [3]),
        ("status=attention", [0, 1, 2, 3]),
        ("status=ok", [4, 5, 6, 7, 8]),
        ("status=nonsense&tier=9", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_a_filter_keeps_only_what_matches(query: str, found: list[int], viewer: User, client_of: Any) -> None:
    mixed()

    assert sorted(disks(html_of(client_of(viewer), f"{PATH}?{query}"))) == found


def test_the_chip_counts_what_its_filter_finds(viewer: User, client_of: Any) -> None:
    mixed()

    assert re.search(r'Needs attention <span class="tn">4</span>', html_of(client_of(viewer)))


def test_of_a_disk_that_is_down_no_figure_is_shown(viewer: User, client_of: Any) -> None:
    mixed()

    offline = row(html_of(client_of(viewer)), 0)

    assert "25%" not in offline
    assert offline.count("No data") == 3


def test_of_a_silent_cluster_no_disk_is_claimed_to_work(viewer: User, cluster: Cluster, client_of: Any) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=2))

    html = html_of(client_of(viewer))

    assert html.count('data-state="unknown"') == 9
    assert 'data-state="ok"' not in html
    assert "25%" not in html


def test_a_filter_that_hides_all_says_so(viewer: User, cluster: Cluster, client_of: Any) -> None:
    html = html_of(client_of(viewer), f"{PATH}?host=nowhere")

    assert "9 disks are hidden by the filter" in html
    assert f'href="{PATH}">Clear filter' in html


def test_without_a_cluster_it_says_what_is_missing(viewer: User, client_of: Any) -> None:
    assert "No storage cluster is connected" in html_of(client_of(viewer))


@pytest.mark.parametrize("hosts", [3, 20])
def test_it_asks_no_more_than_this(hosts: int, administrator: User, client_of: Any) -> None:
    names = tuple(f"host-{number}" for number in range(hosts))
    for name in names:
        make_node(name)
    make_cluster(facts=cluster_facts(hosts=names))
    client = client_of(administrator)
    asked = []
    for query in ("", "?tier=1", "?status=attention"):
        for headers in ({}, {"HX-Request": "true", "HX-Target": "disks-table"}):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(f"{PATH}{query}", headers=headers).status_code == 200
            asked.append(len(queries))

    assert max(asked[::2]) <= MOST_QUERIES, asked
    assert max(asked[1::2]) <= MOST_OF_REGION, asked
