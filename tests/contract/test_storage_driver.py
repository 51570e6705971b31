"""What every StorageCluster does, on the fake and on the lab's Ceph."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Conflict, NotFound, Refused, Unreachable
from storage.drivers.base import StorageCluster
from storage.drivers.facts import Profile
from storage.drivers.matching import UNFINISHED
from tests.contract.storage_subjects import MARKS, PREFIX, FakeSubject, LabSubject, Subject, lab_cluster, pool_of
from tests.e2e.lab import Lab
from tests.waiting import eventually

POOL, OTHER, RULE = f"{PREFIX}pool", f"{PREFIX}other", f"{PREFIX}rule"
CODE = Profile(f"{PREFIX}code", 2, 1, "host", "tier1")
NOBODY = 9999


@pytest.fixture(scope="module")
def lab_storage() -> Iterator[tuple[Lab, StorageCluster]]:
    with lab_cluster() as made:
        yield made


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.lab)])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made: Subject
    made = FakeSubject() if request.param == "fake" else LabSubject(*request.getfixturevalue("lab_storage"))
    yield made
    made.clear()


@pytest.fixture
def cluster(subject: Subject) -> StorageCluster:
    return subject.cluster


def make_copies(cluster: StorageCluster, *, size: int = 2, name: str = POOL) -> bool:
    cluster.make_rule(RULE, device_class="tier1", domain="host")
    return cluster.make_replicated_pool(name, size=size, rule=RULE, application="rbd", marks=MARKS)


def make_coded(cluster: StorageCluster, name: str = POOL) -> bool:
    cluster.make_profile(CODE)
    return cluster.make_coded_pool(name, profile=CODE, application="rbd", marks=MARKS)


def names(cluster: StorageCluster) -> set[str]:
    """The pools, rules and profiles of this suite that are there."""
    found = (*cluster.pools(), *cluster.rules(), *cluster.profiles())
    return {thing.name for thing in found if thing.name.startswith(PREFIX)}


def test_a_look_tells_who_the_cluster_is_and_how_it_is(cluster: StorageCluster) -> None:
    facts = cluster.look()
    assert len(facts.fsid) == 36
    assert facts.version.count(".") == 2
    assert facts.health in ("HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR")
    assert facts.manager_answers
    assert 0 < facts.ratios.near_full < facts.ratios.full < 1


def test_every_disk_lies_in_the_host_that_it_names(cluster: StorageCluster) -> None:
    facts = cluster.look()
    hosts = {bucket.name: bucket for bucket in facts.buckets if bucket.type == "host"}
    assert len(facts.disks) >= 9
    for disk in facts.disks:
        assert disk.id in hosts[disk.host].children
        assert disk.tier in (1, 2)
        assert (disk.up, disk.taken) == (True, True)
        assert 0 < disk.used < disk.size
        assert disk.crush_weight > 0


def test_the_map_hangs_together_from_the_root(cluster: StorageCluster) -> None:
    facts = cluster.look()
    known = {bucket.id for bucket in facts.buckets} | {disk.id for disk in facts.disks}
    assert {child for bucket in facts.buckets for child in bucket.children} <= known
    assert any(bucket.name == "default" and bucket.type == "root" for bucket in facts.buckets)
    assert not any("~" in bucket.name for bucket in facts.buckets)


def test_the_space_is_that_of_its_disks(cluster: StorageCluster) -> None:
    facts = cluster.look()
    assert facts.space.total == sum(disk.size for disk in facts.disks)
    assert facts.space.used + facts.space.available == facts.space.total
    assert set(facts.space_by_class) == {"tier1", "tier2"}
    assert sum(space.total for space in facts.space_by_class.values()) == facts.space.total


def test_one_monitor_leads_and_one_manager_is_active(cluster: StorageCluster) -> None:
    daemons = cluster.look().daemons
    assert [daemon.role for daemon in daemons if daemon.kind == "mon"].count("leader") == 1
    assert [daemon.role for daemon in daemons if daemon.kind == "mgr"].count("active") == 1
    assert len([daemon for daemon in daemons if daemon.kind == "mon" and daemon.up]) == 3
    assert all(daemon.host for daemon in daemons if daemon.kind == "mon")


def test_the_groups_of_a_pool_are_told_with_their_states(cluster: StorageCluster) -> None:
    make_copies(cluster)

    def all_clean() -> bool:
        groups = cluster.look().groups
        clean = sum(number for state, number in groups.states.items() if "active+clean" in state)
        return groups.total >= 8 and clean == groups.total

    eventually(all_clean)
    assert cluster.look().groups.urgent == 0


def test_a_rule_is_made_once(cluster: StorageCluster) -> None:
    assert cluster.make_rule(RULE, device_class="tier1", domain="host") is True
    assert cluster.make_rule(RULE, device_class="tier1", domain="host") is False
    rule = next(rule for rule in cluster.look().rules if rule.name == RULE)
    assert (rule.coded, rule.root, rule.device_class, rule.domain) == (False, "default", "tier1", "host")


@pytest.mark.parametrize(("device_class", "domain"), [("tier2", "host"), ("tier1", "osd")])
def test_a_rule_that_places_otherwise_is_somebody_elses(
    cluster: StorageCluster, device_class: str, domain: str
) -> None:
    cluster.make_rule(RULE, device_class="tier1", domain="host")
    with pytest.raises(Conflict, match="exists already"):
        cluster.make_rule(RULE, device_class=device_class, domain=domain)


def test_a_rule_over_disks_names_them_as_its_domain(cluster: StorageCluster) -> None:
    cluster.make_rule(RULE, device_class="tier2", domain="osd")
    assert next(rule.domain for rule in cluster.rules() if rule.name == RULE) == "osd"


def test_a_rule_for_a_tier_without_disks_is_refused(cluster: StorageCluster) -> None:
    with pytest.raises(Refused, match="tier9") as caught:
        cluster.make_rule(RULE, device_class="tier9", domain="host")
    assert "Add a disk" in caught.value.advice


def test_a_profile_is_made_once_and_read_as_it_was_told(cluster: StorageCluster) -> None:
    assert cluster.make_profile(CODE) is True
    assert cluster.make_profile(CODE) is False
    assert CODE in cluster.profiles()


def test_a_profile_of_another_shape_is_somebody_elses(cluster: StorageCluster) -> None:
    cluster.make_profile(CODE)
    with pytest.raises(Conflict, match="2\\+1 over host"):
        cluster.make_profile(Profile(CODE.name, 4, 2, "host", "tier1"))


@pytest.mark.parametrize(("size", "least"), [(1, 1), (2, 1), (3, 2)])
def test_a_pool_of_copies_is_as_asked_for_and_made_once(cluster: StorageCluster, size: int, least: int) -> None:
    assert make_copies(cluster, size=size) is True
    assert make_copies(cluster, size=size) is False
    pool = pool_of(cluster, POOL)
    assert (pool.coded, pool.size, pool.min_size, pool.rule) == (False, size, least, RULE)
    assert pool.applications == {"rbd": MARKS}
    assert pool.data_chunks == 1


def test_a_coded_pool_is_as_asked_for_and_made_once(cluster: StorageCluster) -> None:
    assert make_coded(cluster) is True
    assert make_coded(cluster) is False
    pool = pool_of(cluster, POOL)
    assert (pool.coded, pool.size, pool.min_size, pool.data_chunks) == (True, 3, 3, 2)
    assert (pool.profile, pool.rule) == (CODE.name, POOL)
    assert pool.applications == {"rbd": MARKS}
    rule = next(rule for rule in cluster.rules() if rule.name == POOL)
    assert (rule.coded, rule.device_class, rule.domain) == (True, "tier1", "host")


def test_a_new_pool_has_room(cluster: StorageCluster) -> None:
    make_copies(cluster)
    eventually(lambda: pool_of(cluster.look(), POOL).available > 0)


def test_what_a_pool_needs_is_missed(cluster: StorageCluster) -> None:
    with pytest.raises(NotFound, match="rule"):
        cluster.make_replicated_pool(POOL, size=2, rule=RULE, application="rbd", marks=MARKS)
    with pytest.raises(NotFound, match="profile"):
        cluster.make_coded_pool(POOL, profile=CODE, application="rbd", marks=MARKS)
    assert names(cluster) == set()


def test_a_pool_of_another_shape_is_not_taken_for_the_one_asked_for(cluster: StorageCluster) -> None:
    make_copies(cluster, size=2)
    with pytest.raises(Conflict, match="keeps its data otherwise"):
        make_copies(cluster, size=3)
    with pytest.raises(Conflict):
        make_coded(cluster)


def test_a_pool_made_by_hand_is_neither_used_nor_removed_nor_looked_into(subject: Subject) -> None:
    subject.make_foreign_pool(POOL)
    before = pool_of(subject.cluster, POOL)
    with pytest.raises(Conflict, match="somebody else"):
        make_copies(subject.cluster)
    with pytest.raises(Conflict, match="somebody else"):
        subject.cluster.remove_pool(POOL, marks=MARKS)
    with pytest.raises(Refused):
        subject.cluster.images(POOL)
    assert pool_of(subject.cluster, POOL).applications == before.applications


def test_a_pool_with_other_marks_is_not_removed(cluster: StorageCluster) -> None:
    make_copies(cluster)
    with pytest.raises(Conflict, match="marks"):
        cluster.remove_pool(POOL, marks={"mooring": "another"})
    assert POOL in names(cluster)


@pytest.mark.parametrize("name", ["rbd", "mooring-", "-h", "mooring-a b", "mooring-;id", "mooring-a/b", "mooring-a@s"])
def test_a_name_that_is_not_the_panels_is_refused(cluster: StorageCluster, name: str) -> None:
    with pytest.raises(Refused, match="is no name"):
        cluster.make_rule(name, device_class="tier1", domain="host")
    with pytest.raises(Refused, match="is no name"):
        cluster.make_replicated_pool(name, size=2, rule=RULE, application="rbd", marks=MARKS)
    with pytest.raises(Refused, match="is no name"):
        cluster.make_coded_pool(name, profile=CODE, application="rbd", marks=MARKS)
    with pytest.raises(Refused, match="is no name"):
        cluster.make_profile(Profile(name, 2, 1, "host", "tier1"))
    with pytest.raises(Refused, match="is no name"):
        cluster.remove_pool(name, marks=MARKS)
    for remove in (cluster.remove_rule, cluster.remove_profile):
        with pytest.raises(Refused, match="is no name"):
            remove(name)


@pytest.mark.parametrize("make", [make_copies, make_coded])
def test_a_pool_whose_making_was_interrupted_is_completed(subject: Subject, make: object) -> None:
    assert callable(make)
    with subject.interrupted(), pytest.raises(Unreachable):
        make(subject.cluster)
    assert POOL not in {pool.name for pool in subject.cluster.pools()}
    assert make(subject.cluster) is True
    assert pool_of(subject.cluster, POOL).applications == {"rbd": MARKS}
    assert POOL + UNFINISHED not in names(subject.cluster)


@pytest.mark.parametrize("make", [make_copies, make_coded])
def test_nothing_is_left_of_a_pool_whose_making_was_interrupted(subject: Subject, make: object) -> None:
    assert callable(make)
    with subject.interrupted(), pytest.raises(Unreachable):
        make(subject.cluster)
    assert subject.cluster.remove_pool(POOL, marks=MARKS) is True
    assert subject.cluster.remove_pool(POOL, marks=MARKS) is False
    assert names(subject.cluster) <= {RULE, CODE.name}


def test_a_coded_pool_takes_its_rule_along_and_leaves_the_profile(cluster: StorageCluster) -> None:
    make_coded(cluster)
    assert cluster.remove_pool(POOL, marks=MARKS) is True
    assert names(cluster) == {CODE.name}
    assert cluster.remove_profile(CODE.name) is True
    assert cluster.remove_profile(CODE.name) is False


def test_a_rule_and_a_profile_stay_while_a_pool_uses_them(cluster: StorageCluster) -> None:
    make_copies(cluster)
    make_coded(cluster, OTHER)
    with pytest.raises(Conflict, match=f"used by {POOL}"):
        cluster.remove_rule(RULE)
    with pytest.raises(Conflict, match=f"used by {OTHER}"):
        cluster.remove_profile(CODE.name)
    cluster.remove_pool(POOL, marks=MARKS)
    assert cluster.remove_rule(RULE) is True
    assert cluster.remove_rule(RULE) is False


def test_images_are_listed_with_those_in_the_trash(subject: Subject) -> None:
    make_copies(subject.cluster)
    assert subject.cluster.images(POOL) == ()
    subject.make_image(POOL, "one")
    subject.make_image(POOL, "two")
    subject.trash_image(POOL, "two")
    assert subject.cluster.images(POOL) == ("one", "trash/two")
    with pytest.raises(NotFound):
        subject.cluster.images(OTHER)


def test_where_images_keep_their_data_is_set_once(subject: Subject) -> None:
    make_copies(subject.cluster)
    make_coded(subject.cluster, OTHER)
    assert subject.cluster.set_default_data_pool(POOL, OTHER) is True
    assert subject.cluster.set_default_data_pool(POOL, OTHER) is False
    subject.make_image(POOL, "one")
    assert subject.cluster.images(OTHER) == ()
    with pytest.raises(NotFound):
        subject.cluster.set_default_data_pool(POOL, f"{PREFIX}nothing")


def test_a_disk_changes_its_class_and_back(cluster: StorageCluster) -> None:
    disk = max(disk.id for disk in cluster.look().disks if disk.tier == 2)
    assert cluster.set_device_class(disk, "tier1") is True
    assert cluster.set_device_class(disk, "tier1") is False
    assert next(found.tier for found in cluster.look().disks if found.id == disk) == 1
    assert cluster.set_device_class(disk, "tier2") is True
    assert next(found.tier for found in cluster.look().disks if found.id == disk) == 2


def test_a_disk_is_taken_out_and_in_again(cluster: StorageCluster) -> None:
    disk = max(disk.id for disk in cluster.look().disks)
    assert cluster.set_taken(disk, taken=False) is True
    assert cluster.set_taken(disk, taken=False) is False
    assert [found.id for found in cluster.look().disks if not found.taken] == [disk]
    assert cluster.set_taken(disk, taken=True) is True
    assert all(found.taken for found in cluster.look().disks)


def test_a_disk_that_runs_is_not_removed(cluster: StorageCluster) -> None:
    disk = max(disk.id for disk in cluster.look().disks)
    with pytest.raises(Conflict, match="still up"):
        cluster.purge(disk)
    assert disk in {found.id for found in cluster.look().disks}


def test_a_disk_that_is_not_there(cluster: StorageCluster) -> None:
    assert cluster.purge(NOBODY) is False
    with pytest.raises(NotFound):
        cluster.set_device_class(NOBODY, "tier1")
    with pytest.raises(NotFound):
        cluster.set_taken(NOBODY, taken=True)
    with pytest.raises(NotFound):
        cluster.may_destroy(NOBODY)
