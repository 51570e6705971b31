"""Search whole system: datastores and disks, by what one knows of them, for who may see the storage."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.accounts.models import User
from panel.search.registry import Found, Query
from storage.models import Cluster, Datastore, Disk
from storage.search import find_datastores, find_disks

pytestmark = pytest.mark.django_db


@pytest.fixture
def datastore(cluster: Cluster) -> Datastore:
    pools = {"pool": "mooring-vm.t2.meta.osd.fast", "data_pool": "mooring-vm.t2.ec5-2.osd.fast"}
    return Datastore.objects.create(
        cluster=cluster, name="fast", tier=2, mode="ec5-2", domain="osd", state="ready", **pools
    )


def names(found: Found) -> list[str]:
    assert found.total == len(found.hits)
    return [hit.name for hit in found.hits]


@pytest.mark.parametrize("text", ["fast", "FAS", "mooring-vm.t2", "ec5-2"])
def test_a_datastore_is_found_by_its_name_and_its_pools(text: str, datastore: Datastore, viewer: User) -> None:
    [hit] = find_datastores(viewer, Query(text)).hits

    assert (hit.name, hit.state, hit.where) == ("fast", "Ready", "Tier 2, encoding 5+2 over disks")
    assert hit.url == f"/storage/datastores/{datastore.pk}/"


def test_the_very_name_comes_first(datastore: Datastore, viewer: User) -> None:
    for name in ("a-fast", "fast-b"):
        Datastore.objects.create(cluster=datastore.cluster, name=name, tier=1, mode="r2", domain="host")

    assert names(find_datastores(viewer, Query("Fast"))) == ["fast", "a-fast", "fast-b"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("CS3", ["CS3"]), ("osd.3", ["CS3"]), ("3", ["CS3"]), ("node2", ["CS6", "CS7", "CS8"]), ("nothing", [])],
)
def test_a_disk_is_found_by_its_number_and_its_host(
    text: str, found: list[str], cluster: Cluster, viewer: User
) -> None:
    assert names(find_disks(viewer, Query(text))) == found


def test_a_disk_is_found_by_its_uuid(cluster: Cluster, viewer: User) -> None:
    disk = Disk.objects.get(number=4)

    assert names(find_disks(viewer, Query(str(disk.uuid)))) == ["CS4"]
    assert names(find_disks(viewer, Query(str(disk.uuid)[:13]))) == ["CS4"]


def test_of_a_silent_cluster_no_disk_is_claimed_to_work(cluster: Cluster, viewer: User) -> None:
    assert find_disks(viewer, Query("CS3")).hits[0].state == "Ok"
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=2))

    with CaptureQueriesContext(connection) as queries:
        assert find_disks(viewer, Query("CS3")).hits[0].state == "No contact"
    assert len(queries) == 2


def test_the_page_shows_them_to_who_may_see_the_storage(
    datastore: Datastore, viewer: User, make_user: Any, client_of: Any
) -> None:
    seen = client_of(viewer).get("/search/?q=fast").content.decode()
    assert f'href="/storage/datastores/{datastore.pk}/"' in seen

    partly = client_of(make_user("partly", "viewer", scope=("node", 1)))
    assert "/storage/datastores/" not in partly.get("/search/?q=fast").content.decode()
