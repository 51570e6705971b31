"""Which badge a cluster and a disk get."""

from datetime import timedelta

import pytest
from django.utils import timezone

from storage.choices import ClusterState
from storage.drivers.facts import Groups, HealthCheck
from storage.models import Cluster, Disk
from storage.services import observed
from storage.status import cluster_status, disk_status, health_status
from tests.storage.samples import cluster_facts


def warning(code: str, *, muted: bool = False) -> dict[str, object]:
    return {"health": "HEALTH_WARN", "checks": (HealthCheck(code, "HEALTH_WARN", "something", muted=muted),)}


@pytest.mark.parametrize(
    ("changes", "state", "word"),
    [
        ({}, "healthy", "Healthy"),
        (warning("OSD_DOWN"), "degraded", "Degraded"),
        (warning("MON_DOWN"), "degraded", "Degraded"),
        (warning("POOL_NO_REDUNDANCY"), "warn", "Warning"),
        ({"health": "HEALTH_ERR"}, "failure", "Failure"),
        ({"groups": Groups(total=4, states={"active+clean": 3, "incomplete": 1})}, "failure", "Failure"),
        ({"groups": Groups(total=4, states={"active+clean": 3, "active+undersized": 1})}, "degraded", "Degraded"),
        ({"groups": Groups(total=4, states={"active+clean": 3, "creating+peering": 1})}, "healthy", "Healthy"),
        ({"manager_answers": False}, "degraded", "Degraded"),
    ],
)
def test_the_badge_says_how_bad_it_is(changes: dict[str, object], state: str, word: str) -> None:
    shown = health_status(cluster_facts(**changes))
    assert (shown.state, shown.word) == (state, word)


def test_a_muted_warning_degrades_nothing() -> None:
    muted = warning("OSD_DOWN", muted=True) | {"health": "HEALTH_OK"}
    assert health_status(cluster_facts(**muted)).state == "healthy"


def test_the_badge_of_a_cluster_costs_no_query(cluster: Cluster, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert cluster_status(cluster).state == "healthy"


def test_a_cluster_that_is_being_connected_says_so(db: None) -> None:
    cluster = Cluster.objects.create(name="storage1")
    assert cluster_status(cluster).word == "Connecting"
    cluster.state_reason = "There is no Ceph on primary."
    assert cluster_status(cluster).word == "Not connected"


def test_a_silent_cluster_says_for_how_long_and_claims_nothing(cluster: Cluster) -> None:
    observed.mark_unreachable(cluster, "No monitor answers.", timezone.now() + timedelta(seconds=12))
    cluster.refresh_from_db()
    shown = cluster_status(cluster, now=cluster.unreachable_since + timedelta(seconds=15))
    assert (shown.word, shown.current, shown.reason) == ("No contact 15 s", False, "No monitor answers.")


def test_a_cluster_that_nobody_has_looked_at_for_long_is_not_called_healthy(cluster: Cluster) -> None:
    shown = cluster_status(cluster, now=cluster.observed_at + timedelta(minutes=2))
    assert (shown.state, shown.word) == ("unreachable", "No contact 2 min")


def test_a_cluster_that_refuses_the_panel_says_why(cluster: Cluster) -> None:
    cluster.state, cluster.state_reason = ClusterState.REFUSED, "The key was removed."
    shown = cluster_status(cluster)
    assert (shown.word, shown.reason) == ("Refused", "The key was removed.")


@pytest.mark.parametrize(
    ("columns", "state", "word"),
    [
        ({}, "ok", "Ok"),
        ({"up": False, "taken": True}, "offline", "Offline 5 min"),
        ({"up": False, "taken": False}, "failed", "Failed"),
        ({"up": False, "taken": False, "new": True}, "starting", "Starting"),
        ({"taken": False}, "releasing", "Releasing"),
        ({"device_class": "hdd"}, "no-tier", "No tier"),
        ({"device_class": ""}, "no-tier", "No tier"),
    ],
)
def test_the_status_of_a_disk(columns: dict[str, object], state: str, word: str) -> None:
    now = timezone.now()
    values: dict[str, object] = {"up": True, "taken": True, "device_class": "tier1"}
    disk = Disk(number=1, **values | columns, down_since=now - timedelta(minutes=5))
    shown = disk_status(disk, now=now)
    assert (shown.state, shown.word) == (state, word)


def test_the_state_of_a_disk_is_not_claimed_while_its_cluster_is_silent() -> None:
    shown = disk_status(Disk(number=1, up=True, taken=True, device_class="tier1"), current=False)
    assert not shown.current
    assert shown.reason.endswith("last known: Ok")
