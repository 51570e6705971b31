"""What was observed of a cluster is kept in its rows, and is never replaced by something older."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from panel.live.poke import listen, unlisten
from storage.choices import ClusterState
from storage.drivers.facts import ClusterFacts, Event, Flow, Groups, HealthCheck, PoolFacts, Space
from storage.models import Cluster, Disk, StorageRevision
from storage.services import observed, packing
from tests.storage.samples import cluster_facts, disk_facts, make_cluster, pool_facts


def later(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


def reread(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def test_what_was_recorded_is_what_is_read(db: None) -> None:
    facts = cluster_facts(
        racks=("r1", "r1", "r2"),
        rooms=("a", "a", "b"),
        health="HEALTH_WARN",
        checks=(HealthCheck("OSD_DOWN", "HEALTH_WARN", "1 osds down", ("osd.1 is down",), muted=True),),
        pools=(pool_facts(2, "m-t1-ec5-2-osd", coded=True, size=7, data_chunks=5, applications={"rbd": {"k": "v"}}),),
        groups=Groups(total=8, states={"active+undersized": 3, "active+clean": 5}, urgent=2),
        flow=Flow(read_bytes=12.5),
        flags=("noout",),
        events=(Event("2026-11-22T06:00:00+00:00", "warning", "1 osds down"),),
    )

    assert observed.facts_of(make_cluster(facts=facts)) == facts


def test_every_field_of_the_facts_is_kept() -> None:
    columns = packing.cluster_columns(cluster_facts())
    kept = {*columns["status"], "disks", "buckets", "pools", "events"}
    assert {"buckets", "pools", "events"} < columns.keys()
    assert kept == {field.name for field in fields(ClusterFacts)}


def test_facts_come_from_the_disks_that_the_caller_has_read(
    cluster: Cluster, django_assert_num_queries: object
) -> None:
    disks = list(cluster.disks.all())

    with django_assert_num_queries(0):  # type: ignore[operator]
        assert observed.facts_of(cluster, disks) == cluster_facts()


def test_a_cluster_that_was_never_observed_has_no_facts(db: None) -> None:
    assert observed.facts_of(Cluster.objects.create(name="storage1")) is None


def test_facts_of_another_format_are_not_read(cluster: Cluster) -> None:
    cluster.facts_format += 1

    assert observed.facts_of(cluster) is None


def test_the_same_answer_again_changes_nothing_but_its_time(cluster: Cluster) -> None:
    rev, at = StorageRevision.current(), later(5)

    assert observed.record(cluster, cluster_facts(), at) is None
    assert StorageRevision.current() == rev
    assert reread(cluster).observed_at == at


def test_a_new_line_of_the_log_is_news_and_the_same_lines_are_none(cluster: Cluster) -> None:
    facts = cluster_facts(events=(Event("2026-11-22T06:00:00+00:00", "info", "osd.1 boot"),))

    assert observed.record(cluster, facts, later(5))
    assert observed.record(cluster, facts, later(10)) is None
    assert reread(cluster).events == [{"at": "2026-11-22T06:00:00+00:00", "severity": "info", "message": "osd.1 boot"}]


def test_lines_that_ceph_forgot_stay_up_to_fifty(cluster: Cluster) -> None:
    lines = [Event(f"2026-11-22T06:00:{second}+00:00", "info", "osd.1 boot") for second in range(10, 59)]
    more = [Event(f"2026-11-22T06:01:{second}+00:00", "warning", "1 osds down") for second in range(10, 15)]
    observed.record(cluster, cluster_facts(events=tuple(lines)), later(5))
    observed.record(cluster, cluster_facts(events=(lines[-1], *more)), later(10))
    observed.record(cluster, cluster_facts(events=None), later(15))
    facts = observed.facts_of(reread(cluster))
    assert facts is not None
    assert facts.events == tuple([*lines, *more][-50:])


def test_only_rows_of_disks_that_differ_get_the_new_revision(cluster: Cluster) -> None:
    facts = cluster_facts()
    changed = replace(facts.disks[4], used=3 << 30)
    facts = replace(facts, disks=(*facts.disks[:4], changed, *facts.disks[5:]))

    rev = observed.record(cluster, facts, later(5))

    assert list(Disk.objects.filter(rev=rev).values_list("number", "used", "fill")) == [(4, 3 << 30, 75.0)]
    assert reread(cluster).rev == rev


def test_a_disk_that_left_the_cluster_is_forgotten_and_a_new_one_is_added(cluster: Cluster) -> None:
    facts = cluster_facts()

    observed.record(cluster, replace(facts, disks=(*facts.disks[1:], disk_facts(9, uuid=""))), later(5))

    numbers = list(cluster.disks.order_by("number").values_list("number", flat=True))
    assert numbers == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert Disk.objects.get(number=9).uuid is None


def test_an_older_answer_does_not_replace_a_newer_one(cluster: Cluster) -> None:
    observed.record(cluster, cluster_facts(health="HEALTH_ERR"), later(10))

    assert observed.record(cluster, cluster_facts(), later(5)) is None
    assert observed.mark_unreachable(cluster, "no answer", later(5)) is None
    now = reread(cluster)
    assert (now.state, now.status["health"]) == (ClusterState.ONLINE, "HEALTH_ERR")


def test_a_clock_that_was_set_back_does_not_hold_up_what_is_observed(cluster: Cluster) -> None:
    observed.record(cluster, cluster_facts(health="HEALTH_ERR"), later(3600))

    assert observed.record(cluster, cluster_facts(), later(5))
    assert reread(cluster).status["health"] == "HEALTH_OK"


def test_a_disk_is_down_since_it_was_first_seen_down(cluster: Cluster) -> None:
    facts = cluster_facts()
    down = replace(facts, disks=(replace(facts.disks[0], up=False), *facts.disks[1:]))
    first = later(5)

    observed.record(cluster, down, first)
    observed.record(cluster, down, later(10))
    assert Disk.objects.get(number=0).down_since == first

    observed.record(cluster, facts, later(15))
    assert Disk.objects.get(number=0).down_since is None


def test_a_silent_cluster_keeps_what_is_known_of_it_and_since_when(cluster: Cluster) -> None:
    heard = cluster.observed_at

    assert observed.mark_unreachable(cluster, "No monitor answers.", later(12))
    assert observed.mark_unreachable(cluster, "No monitor answers.", later(13)) is None
    now = reread(cluster)
    assert (now.state, now.state_reason) == (ClusterState.UNREACHABLE, "No monitor answers.")
    assert now.unreachable_since == now.observed_at == heard
    assert observed.facts_of(now) == cluster_facts()

    observed.record(cluster, cluster_facts(), later(20))
    now = reread(cluster)
    assert (now.state, now.state_reason, now.unreachable_since) == (ClusterState.ONLINE, "", None)


def test_facts_of_another_cluster_are_refused(cluster: Cluster) -> None:
    other = cluster_facts(fsid="11111111-2222-3333-4444-555555555555", disks=1)

    observed.record(cluster, other, later(5))

    now = reread(cluster)
    assert now.state == ClusterState.REFUSED
    assert "11111111-2222-3333-4444-555555555555" in now.state_reason
    assert cluster.disks.count() == 9


def test_without_a_manager_its_figures_stay_as_they_were(cluster: Cluster) -> None:
    facts = cluster_facts(manager_answers=False, groups=Groups(), space=Space(), space_by_class={})
    blank = tuple(replace(disk, size=0, used=0, groups=0, commit_ms=None, up=disk.id != 2) for disk in facts.disks)
    pools = tuple(replace(pool, stored=0, used=0, available=0, objects=0) for pool in facts.pools)

    observed.record(cluster, replace(facts, disks=blank, pools=pools), later(5))

    found, before = observed.facts_of(reread(cluster)), cluster_facts()
    assert found is not None
    assert not found.manager_answers
    assert (found.groups, found.space, found.space_by_class) == (before.groups, before.space, before.space_by_class)
    assert [(d.size, d.used, d.groups) for d in found.disks] == [(d.size, d.used, d.groups) for d in before.disks]
    assert [disk.id for disk in found.disks if not disk.up] == [2]
    first: PoolFacts = found.pools[0]
    assert (first.stored, first.objects) == (before.pools[0].stored, before.pools[0].objects)


def test_nothing_is_written_of_a_cluster_that_was_removed(cluster: Cluster) -> None:
    gone = reread(cluster)
    Cluster.objects.all().delete()

    assert observed.record(gone, cluster_facts(), later(5)) is None
    assert not Disk.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_browsers_are_told_once_for_each_change_and_only_after_it_is_written() -> None:
    told: list[tuple[str, int]] = []

    def heard(topic: str, rev: int) -> None:
        told.append((topic, Cluster.objects.values_list("rev", flat=True).get() if Cluster.objects.exists() else 0))

    cluster = make_cluster()
    listen(heard)
    try:
        observed.record(cluster, cluster_facts(), later(5))
        assert told == []
        rev = observed.record(cluster, cluster_facts(health="HEALTH_WARN", disks=2), later(10))
        assert told == [("storage", rev)]
    finally:
        unlisten(heard)
