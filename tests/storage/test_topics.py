"""The live topic of the storage's pages."""

import pytest

from panel.accounts.models import User
from panel.live.registry import lookup
from storage.models import Cluster
from storage.services import observed
from storage.topics import read
from tests.storage.samples import cluster_facts
from tests.storage.test_observed import later


def test_a_page_is_told_the_new_revision_once(cluster: Cluster, viewer: User) -> None:
    rev = observed.record(cluster, cluster_facts(health="HEALTH_WARN"), later(5))
    update = read(viewer, "", cluster.rev)
    assert update is not None and update.rev == rev
    assert read(viewer, "", update.rev) is None


def test_a_page_from_before_the_database_was_replaced_is_told_too(cluster: Cluster, viewer: User) -> None:
    update = read(viewer, "", cluster.rev + 100)
    assert update is not None and update.rev == cluster.rev


def test_it_has_no_parts_and_takes_the_right_to_see_the_storage(viewer: User) -> None:
    with pytest.raises(LookupError):
        read(viewer, "1", 0)
    assert lookup("storage")[0].permission == "storage.view"
