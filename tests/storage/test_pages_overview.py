"""The storage's Overview: what it says of a healthy, a degraded, a silent cluster, and how little it asks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.accounts.models import User
from storage.choices import ClusterState
from storage.drivers.facts import Flow, Groups, HealthCheck
from storage.models import Cluster, Disk
from storage.services import observed
from tests.infrastructure.page_rows import make_node
from tests.storage.samples import GIB, cluster_facts, make_cluster

pytestmark = pytest.mark.django_db

PATH = "/storage/"
# The whole page with tree, dock and navigation; and the region that the browser reads again.
MOST_QUERIES, MOST_OF_REGION = 10, 5


def main_of(client: Any, path: str = PATH) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode()).split("<main")[1].split("</main>")[0]


def card(html: str, name: str) -> str:
    """A card by its name."""
    return html.split(f'aria-label="{name}"')[1].split("</section>")[0]


def with_a_disk_down() -> Cluster:
    facts = cluster_facts()
    down = replace(facts.disks[8], up=False)
    checks = (
        HealthCheck("PG_DEGRADED", "HEALTH_WARN", "Degraded data redundancy: 80/768 objects degraded"),
        HealthCheck("OSD_DOWN", "HEALTH_WARN", "1 osds down", ("osd.8 (root=default,host=secondnode2) is down",)),
    )
    groups = Groups(
        total=33,
        states={"active+clean": 20, "active+undersized+degraded": 12, "active+recovering+degraded": 1},
        urgent=2,
        objects=256,
        copies=768,
        degraded_copies=80,
    )
    flow = Flow(recovery_bytes=8 * 1024**2)
    disks = (*facts.disks[:8], down)
    return make_cluster(
        facts=replace(facts, health="HEALTH_WARN", checks=checks, disks=disks, groups=groups, flow=flow)
    )


def test_without_a_cluster_it_says_what_it_is_for_and_offers_to_connect_one(
    administrator: User, viewer: User, client_of: Any
) -> None:
    html = main_of(client_of(administrator))
    assert "No storage cluster is connected" in html
    assert 'href="/storage/connect/">Connect a cluster</a>' in html

    assert "/storage/connect/" not in main_of(client_of(viewer))


def test_a_healthy_cluster_is_told_in_one_line(viewer: User, cluster: Cluster, client_of: Any) -> None:
    html = main_of(client_of(viewer))

    assert 'data-state="healthy"' in html
    assert "3 nodes, 9 of 9 disks, 3 of 3 MDS" in html
    assert 'class="note' not in html
    assert "Nothing to rebuild" in card(html, "Self-heal")
    assert "100%" in card(html, "Redundancy")
    assert "15</span>" in card(html, "Services")
    assert "of 36 GiB used" in card(html, "Physical space")


def test_a_lost_disk_is_said_on_top_with_what_it_means_and_how_many_other_things_are_wrong(
    viewer: User, client_of: Any
) -> None:
    with_a_disk_down()

    html = main_of(client_of(viewer))
    note = html.split('class="note')[1].split("</div>")[0]

    assert "Disk CS8 on secondnode2 went offline <time" in note
    assert "No data is lost" in note
    assert "1 more" in note
    assert "3 nodes, 8 of 9 disks" in html
    assert "60.6%" in card(html, "Redundancy")
    assert "8 of 9" in card(html, "Services")


def test_what_is_rebuilt_is_told_with_its_speed_and_how_long_it_takes(viewer: User, client_of: Any) -> None:
    with_a_disk_down()

    heal = card(main_of(client_of(viewer)), "Self-heal")

    assert "8 MiB/s" in heal
    # 80 of 768 copies of 9 GiB are missing: 0.94 GiB at 8 MiB/s.
    assert "about 2 min left" in heal
    assert "0 bytes of 960 MiB" in heal

    halfway = observed.facts_of(Cluster.objects.get())
    assert halfway is not None
    observed.record(Cluster.objects.get(), replace(halfway, groups=replace(halfway.groups, degraded_copies=40)))
    heal = card(main_of(client_of(viewer)), "Self-heal")
    assert "50%" in heal
    assert "480 MiB of 960 MiB" in heal

    observed.record(Cluster.objects.get(), replace(halfway, flow=Flow(recovery_bytes=10.0)))
    heal = card(main_of(client_of(viewer)), "Self-heal")
    assert " left" not in heal, "three years are no forecast, but a heal that has just begun"


def test_where_chunks_without_data_lack_disks_not_every_piece_is_called_complete(viewer: User, client_of: Any) -> None:
    groups = Groups(total=33, states={"active+clean": 20, "active+undersized": 13})
    make_cluster(facts=cluster_facts(groups=groups))

    html = main_of(client_of(viewer))

    assert "13" in card(html, "Redundancy")
    assert "Nothing to rebuild now: the chunks that are not healthy hold no data" in card(html, "Self-heal")


def test_a_disk_that_ceph_gave_up_is_told_although_ceph_finds_nothing_wrong(viewer: User, client_of: Any) -> None:
    facts = cluster_facts()
    make_cluster(facts=replace(facts, disks=(replace(facts.disks[0], up=False, taken=False, size=0), *facts.disks[1:])))

    html = main_of(client_of(viewer))

    assert "Disk CS0 on primary failed <time" in html
    assert "Replace it, or remove it" in html
    assert "0 bytes" not in card(html, "Physical space")


def test_a_cluster_without_data_has_no_share_of_healthy_chunks(viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(groups=Groups()))

    assert "No chunks" in card(main_of(client_of(viewer)), "Redundancy")


def test_what_somebody_muted_is_no_note(viewer: User, client_of: Any) -> None:
    check = HealthCheck("POOL_NO_REDUNDANCY", "HEALTH_WARN", "1 pool(s) have no replicas configured", muted=True)
    make_cluster(facts=cluster_facts(checks=(check,)))

    assert 'class="note' not in main_of(client_of(viewer))


def test_of_a_silent_cluster_no_state_is_claimed(viewer: User, cluster: Cluster, client_of: Any) -> None:
    since = timezone.now() - timedelta(seconds=90)
    Cluster.objects.update(state=ClusterState.UNREACHABLE, unreachable_since=since, state_reason="No monitor answers.")

    html = main_of(client_of(viewer))

    assert "No contact 1 min" in html
    assert "storage1 does not answer since" in html
    assert "No monitor answers." in html
    assert "9 of 9 disks" not in html
    assert "No data" in card(html, "Redundancy")
    assert "No data" in card(html, "Self-heal")
    assert "?</span>" in card(html, "Services")
    assert "data-old" in html.split('id="space"')[1].split(">")[0]
    assert ", ok</span>" not in card(html, "Nodes and disks")


def test_what_is_old_although_nothing_reported_it_is_not_shown_as_current(
    viewer: User, cluster: Cluster, client_of: Any
) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=2))

    assert "does not answer" in main_of(client_of(viewer))


def test_without_a_manager_figures_are_not_shown_as_current_but_services_are(viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(manager_answers=False))

    html = main_of(client_of(viewer))

    assert "No manager of storage1 answers." in html
    assert "No data" in card(html, "Redundancy")
    assert "15</span>" in card(html, "Services")


def test_each_tier_says_what_is_left_in_its_usual_mode(viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(hosts=("primary", "secondnode1"), tiers=(1,)))

    tiers = card(main_of(client_of(viewer)), "Space by tier")

    assert "2 replicas" in tiers
    assert "disks on 2 hosts now" in tiers
    assert tiers.count("No disks assigned") == 3
    # Two hosts of 12 GiB, 3 used, near-full at 85 %: 7.2 GiB on each.
    assert "7.2 GiB" in tiers


def test_a_class_that_somebody_else_gave_is_shown_as_no_tier(viewer: User, client_of: Any) -> None:
    facts = cluster_facts()
    foreign = replace(facts.disks[0], device_class="hdd")
    make_cluster(facts=replace(facts, disks=(foreign, *facts.disks[1:])))

    assert "no tier of Mooring" in card(main_of(client_of(viewer)), "Space by tier")


def test_the_map_places_hosts_into_racks_and_links_them_to_the_panels_nodes(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    make_cluster(facts=cluster_facts(racks=("rack-a", "rack-b", "rack-c"), rooms=("east", "east", "west")))

    html = card(main_of(client_of(viewer)), "Nodes and disks")

    assert html.index("rack-a") < html.index("rack-b") < html.index("rack-c")
    assert f'<a href="/infrastructure/nodes/{node.pk}/">primary</a>' in html
    assert "MDS leader" in html
    assert html.count('class="disk ') == 9


def test_one_rack_for_everything_is_said_to_be_one_failure_domain(viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(racks=("rack-a",) * 3))

    assert "rack-a is one failure domain: losing it stops the cluster" in main_of(client_of(viewer))


def test_of_a_host_with_many_disks_only_those_in_trouble_stay_in_sight(viewer: User, client_of: Any) -> None:
    facts = cluster_facts(hosts=("primary",), disks=20)
    make_cluster(facts=replace(facts, disks=(*facts.disks[:19], replace(facts.disks[19], up=False))))

    html = card(main_of(client_of(viewer)), "Nodes and disks")

    assert "19 more disks" in html
    assert html.index('id="tile-19"') < html.index("<details") < html.index('id="tile-0"')


def test_of_many_hosts_the_rest_is_counted(viewer: User, client_of: Any) -> None:
    make_cluster(facts=cluster_facts(hosts=tuple(f"host-{number:02}" for number in range(43)), disks=1))

    html = card(main_of(client_of(viewer)), "Nodes and disks")

    assert html.count('class="host"') == 40
    assert "3 more hosts are not drawn" in html


def test_the_map_is_coloured_by_what_the_address_says(viewer: User, client_of: Any) -> None:
    facts = cluster_facts()
    slow, full = replace(facts.disks[0], commit_ms=90.0), replace(facts.disks[1], used=int(3.6 * GIB))
    make_cluster(facts=replace(facts, disks=(slow, full, *facts.disks[2:])))
    client = client_of(viewer)

    def tile(number: int, map: str) -> str:
        html = main_of(client, f"{PATH}?map={map}&range=6h")
        return html.split(f'id="tile-{number}"')[0].rsplit('class="disk', 1)[1]

    assert "warn" in tile(0, "latency")
    assert "warn" not in tile(1, "latency")
    assert "warn" in tile(1, "fill")
    assert "warn" not in tile(0, "nonsense")
    assert "?map=fill&amp;range=6h" in main_of(client, f"{PATH}?map=latency&range=6h")


def test_what_ceph_says_is_shown_as_text(viewer: User, client_of: Any) -> None:
    check = HealthCheck("X<img src=x>", "HEALTH_ERR", "<img src=x onerror=pwn()>")
    make_cluster(facts=cluster_facts(checks=(check,), health="HEALTH_ERR"))

    html = main_of(client_of(viewer))

    assert "&lt;img src=x onerror=pwn()&gt;" in html
    assert "<img" not in html


def test_managing_is_offered_with_its_reason_to_those_who_may_not(
    viewer: User, administrator: User, cluster: Cluster, client_of: Any
) -> None:
    assert main_of(client_of(viewer)).count("Your role does not allow this") == 3

    html = main_of(client_of(administrator))
    assert 'hx-get="/storage/connect/again/"' in html
    assert 'hx-get="/storage/disconnect/"' in html


@pytest.mark.parametrize("hosts", [3, 30])
def test_it_asks_no_more_than_this(hosts: int, administrator: User, client_of: Any) -> None:
    names = tuple(f"host-{number}" for number in range(hosts))
    for name in names:
        make_node(name)
    make_cluster(facts=cluster_facts(hosts=names))
    client = client_of(administrator)
    asked = []
    for headers in ({}, {"HX-Request": "true", "HX-Target": "tab-panel"}):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(PATH, headers=headers).status_code == 200
        asked.append(len(queries))

    assert asked[0] <= MOST_QUERIES, asked
    assert asked[1] <= MOST_OF_REGION, asked


def test_only_the_region_is_sent_when_only_it_is_asked_for(viewer: User, cluster: Cluster, client_of: Any) -> None:
    headers = {"HX-Request": "true", "HX-Target": "tab-panel"}
    html = client_of(viewer).get(PATH, headers=headers).content.decode()

    assert html.strip().startswith('<div class="body" id="tab-panel" data-topic="storage"')
    assert Disk.objects.count() == html.count('class="disk ')
