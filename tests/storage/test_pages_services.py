"""The storage's services: who keeps the quorum, which chunk services run, and what the cluster finds wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.accounts.models import User
from storage.drivers.facts import Event, HealthCheck
from storage.models import Cluster, Disk
from tests.infrastructure.page_rows import make_node
from tests.storage.samples import HOSTS, cluster_facts, make_cluster

pytestmark = pytest.mark.django_db

PATH = "/storage/services/"
MOST_QUERIES = 10


def html_of(client: Any) -> str:
    answer = client.get(PATH)
    assert answer.status_code == 200
    return str(answer.content.decode()).split("<main")[1].split("</main>")[0]


def row(html: str, id: str) -> str:
    return html.split(f'id="{id}"')[1].split("</tr>")[0]


def test_each_service_says_what_it_does_now(viewer: User, cluster: Cluster, client_of: Any) -> None:
    html = html_of(client_of(viewer))

    assert "Leader" in row(html, "daemon-mon-primary")
    assert "In quorum" in row(html, "daemon-mon-secondnode1")
    assert "Standby" in row(html, "daemon-mgr-secondnode1")
    assert "Active" in row(html, "daemon-mds-primary")
    assert "Quorum with 2" in html


def test_a_metadata_service_that_is_down_is_told(viewer: User, client_of: Any) -> None:
    facts = cluster_facts()
    daemons = tuple(
        replace(each, up=False, role="") if (each.kind, each.host) == ("mon", "secondnode2") else each
        for each in facts.daemons
    )
    make_cluster(facts=replace(facts, daemons=daemons))

    html = html_of(client_of(viewer))

    assert "Not running" in row(html, "daemon-mon-secondnode2")
    assert "2 of 3" in html.split('id="services-mon"')[1].split("</section>")[0]


@pytest.mark.parametrize(("minutes", "word"), [(1, "Inactive"), (6, "Offline")])
def test_a_chunk_service_is_inactive_for_five_minutes_and_offline_then(
    minutes: int, word: str, viewer: User, client_of: Any
) -> None:
    facts = cluster_facts()
    make_cluster(facts=replace(facts, disks=(*facts.disks[:8], replace(facts.disks[8], up=False))))
    Disk.objects.filter(number=8).update(down_since=timezone.now() - timedelta(minutes=minutes))

    html = html_of(client_of(viewer))

    assert word in row(html, "cs-8")
    assert "Active" in row(html, "cs-0")
    assert html.index('id="cs-8"') < html.index('id="cs-0"')


def test_what_is_wrong_is_listed_the_worst_first_with_the_words_of_ceph(viewer: User, client_of: Any) -> None:
    checks = (
        HealthCheck("OSD_NEARFULL", "HEALTH_WARN", "1 nearfull osd(s)", ("osd.1 is <b>near</b> full",)),
        HealthCheck("PG_AVAILABILITY", "HEALTH_ERR", "Reduced data availability: 2 pgs inactive"),
        HealthCheck("SOMETHING_NEW", "HEALTH_WARN", "a check of a newer Ceph"),
    )
    make_cluster(facts=cluster_facts(checks=checks, health="HEALTH_ERR"))

    html = html_of(client_of(viewer)).split('id="health"')[1]

    assert html.index("Reduced data availability") < html.index("1 nearfull osd(s)")
    assert "Reads and writes of some pieces wait" in html
    assert "osd.1 is &lt;b&gt;near&lt;/b&gt; full" in html
    assert "A check of a newer Ceph" in html


def test_of_a_silent_cluster_no_service_is_claimed_to_run(viewer: User, cluster: Cluster, client_of: Any) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=2))

    html = html_of(client_of(viewer))

    for claim in ("Leader", "Active", ">Running", "Nothing is wrong", "25%"):
        assert claim not in html
    assert "? of 3" in html


def test_the_log_of_the_cluster_is_shown_escaped_with_the_newest_first(viewer: User, client_of: Any) -> None:
    events = (
        Event("2026-11-22T06:00:00+00:00", "info", "osd.1 boot"),
        Event("2026-11-22T06:00:09+00:00", "error", "Health check failed: <script>x</script>"),
    )
    make_cluster(facts=cluster_facts(events=events))

    html = html_of(client_of(viewer)).split('id="events"')[1]

    assert html.index("Health check failed: &lt;script&gt;x") < html.index("osd.1 boot")
    assert "Error" in html and 'datetime="2026-11-22T06:00:09' in html


@pytest.mark.parametrize(("events", "words"), [((), "There is none yet"), (None, "does not let Mooring read its log")])
def test_without_a_log_it_says_why(events: Any, words: str, viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(events=events))
    assert words in html_of(client_of(viewer)).split('id="events"')[1]


def test_it_asks_no_more_than_this(administrator: User, client_of: Any) -> None:
    for name in HOSTS:
        make_node(name)
    make_cluster(facts=cluster_facts(disks=30))
    client = client_of(administrator)

    with CaptureQueriesContext(connection) as queries:
        assert client.get(PATH).status_code == 200

    assert len(queries) <= MOST_QUERIES
