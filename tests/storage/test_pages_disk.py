"""The page of one disk: what it says, what can be done with it, and that it never claims what is not known."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from panel.accounts.models import User
from storage.models import Cluster, Datastore
from tests.infrastructure.page_rows import make_node
from tests.storage.samples import cluster_facts, make_cluster, pool_facts

pytestmark = pytest.mark.django_db

PATH = "/storage/disks/0/"
MOST_QUERIES, MOST_OF_REGION = 12, 8


def words(client: Any, path: str = PATH, where: str = "//main") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(" ".join(html.fromstring(answer.content.decode()).xpath(where)[0].itertext()).split())


def test_it_says_where_the_disk_is_and_what_it_holds(viewer: User, client_of: Any) -> None:
    node = make_node("primary")
    make_cluster(facts=cluster_facts(racks=("a", "b", "b"), rooms=("x", "x", "x")))

    answer = client_of(viewer).get(PATH).content.decode()
    told = words(client_of(viewer))

    assert f'href="/infrastructure/nodes/{node.pk}/">primary</a>' in answer
    assert "CS0 Ok Tier 1 on primary" in told
    assert "1 GiB of 4 GiB used" in told
    for words_ in ("Free 3 GiB", "Chunks 32", "2 ms", "Location room x, rack a", "Medium SSD", "16.2.15"):
        assert words_ in told


def test_it_names_the_pools_that_keep_data_on_it_and_their_datastores(viewer: User, client_of: Any) -> None:
    facts = cluster_facts()
    pools = (pool_facts(7, "mooring-vm.t1.r3.host.fast"), pool_facts(8, "elsewhere", rule="mooring-tier2-host"))
    cluster = make_cluster(facts=replace(facts, pools=pools))
    policy = {"tier": 1, "mode": "r3", "domain": "host"}
    names = dict.fromkeys(("pool", "data_pool"), pools[0].name)
    datastore = Datastore.objects.create(cluster=cluster, name="fast", state="ready", **policy, **names)

    table = words(client_of(viewer), where='//section[@aria-label="Pools"]//tbody')

    assert table == "mooring-vm.t1.r3.host.fast 3 replicas fast 1 GiB"
    assert f'href="/storage/datastores/{datastore.pk}/"' in client_of(viewer).get(PATH).content.decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"up": False}, "Ceph still counts on it."),
        ({"up": False, "taken": False}, "The cluster counts on it no more"),
        ({"taken": False}, "It takes no new data"),
        ({"device_class": "hdd"}, "Its device class is hdd. No data of Mooring is placed on it."),
    ],
)
def test_a_disk_that_wants_attention_says_what_that_means(
    changed: dict[str, Any], said: str, viewer: User, client_of: Any
) -> None:
    facts = cluster_facts()
    make_cluster(facts=replace(facts, disks=(replace(facts.disks[0], **changed), *facts.disks[1:])))

    assert said in words(client_of(viewer), where='//*[@id="tab-panel"]//*[@role="status"]')


def test_of_a_silent_cluster_nothing_is_claimed(viewer: User, cluster: Cluster, client_of: Any) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=2))

    told = words(client_of(viewer))

    assert "No contact" in told
    assert "The cluster does not answer; last known: Ok" in told
    assert "1 GiB of 4 GiB used" not in told


def test_only_who_may_change_it_is_offered_that(
    viewer: User, administrator: User, cluster: Cluster, client_of: Any
) -> None:
    asked = '//*[@role="toolbar"]//button[not(@disabled)]'

    def offered(user: User) -> list[str]:
        page = html.fromstring(client_of(user).get(PATH).content.decode())
        return [" ".join(button.itertext()).strip() for button in page.xpath(f'//*[@id="page-title"]{asked}')]

    assert offered(administrator) == ["Change tier…", "Release…"]
    assert offered(viewer) == []


@pytest.mark.parametrize("number", ["77", "99999999999999999999"])
def test_a_disk_that_is_not_there_is_not_found(number: str, viewer: User, cluster: Cluster, client_of: Any) -> None:
    assert client_of(viewer).get(f"/storage/disks/{number}/").status_code == 404


def test_it_asks_no_more_than_this(administrator: User, cluster: Cluster, client_of: Any) -> None:
    client = client_of(administrator)
    for headers, most in (({}, MOST_QUERIES), ({"HX-Request": "true", "HX-Target": "tab-panel"}, MOST_OF_REGION)):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(PATH, headers=headers).status_code == 200
        assert len(queries) <= most, [query["sql"] for query in queries]
