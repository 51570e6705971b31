"""A disk that is being added runs for the first time at the end of its task: until then nothing is wrong with it."""

from dataclasses import replace
from typing import Any

import pytest

from panel.accounts.models import User
from storage import overview
from storage.drivers.facts import ClusterFacts
from storage.explain import explanations
from storage.models import Cluster
from storage.services.observed import facts_of
from storage.status import disk_status
from tests.storage.samples import cluster_facts, make_cluster
from tests.storage.test_pages_disks import disks, html_of, row

pytestmark = pytest.mark.django_db


def with_a_starting_disk() -> ClusterFacts:
    facts = cluster_facts()
    starting = replace(facts.disks[8], up=False, taken=False, new=True)
    return replace(facts, disks=(*facts.disks[:8], starting))


@pytest.fixture
def starting() -> Cluster:
    return make_cluster(facts=with_a_starting_disk())


def test_its_row_says_so_and_it_needs_no_attention(viewer: User, starting: Cluster, client_of: Any) -> None:
    assert ">Starting<" in row(html_of(client_of(viewer)), 8)
    assert disks(html_of(client_of(viewer), "/storage/disks/?status=starting")) == [8]
    for nothing in ("attention", "failed", "offline"):
        assert disks(html_of(client_of(viewer), f"/storage/disks/?status={nothing}")) == []


def test_the_overview_counts_it_once_it_runs(viewer: User, starting: Cluster, client_of: Any) -> None:
    facts = with_a_starting_disk()

    assert "8 of 8 disks" in overview.head_words(facts)
    assert overview.physical(facts).offline_disks == 0
    assert explanations(facts, {}) == []
    html = html_of(client_of(viewer), "/storage/")
    assert "2 of 2 disks run" in html
    assert "Failed" not in html and "failed" not in html


def test_the_list_of_services_says_so(viewer: User, starting: Cluster, client_of: Any) -> None:
    html = html_of(client_of(viewer), "/storage/services/")
    assert "8 of 8" in html and "Starting" in html
    assert "Offline" not in html and "Inactive" not in html


def test_its_row_keeps_it_and_counts_no_time_of_being_down(starting: Cluster) -> None:
    disk = starting.disks.get(number=8)
    assert (disk.starting, disk.down_since) == (True, None)
    found = facts_of(starting)
    assert found is not None and found.disks[8].starting


def test_it_can_fail_once_it_ran(starting: Cluster) -> None:
    disk = starting.disks.get(number=8)
    disk.new = False
    assert disk_status(disk).word == "Failed"
