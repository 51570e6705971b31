"""What every StorageCluster does with rules, profiles and pools, on the fake and on the lab's Ceph."""

import pytest

from infrastructure.drivers.errors import Conflict, NotFound, Refused, Unreachable
from storage.drivers.base import StorageCluster
from storage.drivers.facts import Profile
from storage.drivers.matching import UNFINISHED
from tests.contract.storage_subjects import MARKS, PREFIX, Subject, pool_of
from tests.waiting import eventually

POOL, OTHER, RULE = f"{PREFIX}pool", f"{PREFIX}other", f"{PREFIX}rule"
CODE = Profile(f"{PREFIX}code", 2, 1, "host", "tier1")


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


def test_the_groups_of_a_pool_are_told_with_their_states(storage: StorageCluster) -> None:
    make_copies(storage)

    def all_clean() -> bool:
        groups = storage.look().groups
        clean = sum(number for state, number in groups.states.items() if "active+clean" in state)
        return groups.total >= 8 and clean == groups.total

    eventually(all_clean)
    assert storage.look().groups.urgent == 0


def test_a_rule_is_made_once(storage: StorageCluster) -> None:
    assert storage.make_rule(RULE, device_class="tier1", domain="host") is True
    assert storage.make_rule(RULE, device_class="tier1", domain="host") is False
    rule = next(rule for rule in storage.look().rules if rule.name == RULE)
    assert (rule.coded, rule.root, rule.device_class, rule.domain) == (False, "default", "tier1", "host")


@pytest.mark.parametrize(("device_class", "domain"), [("tier2", "host"), ("tier1", "osd")])
def test_a_rule_that_places_otherwise_is_somebody_elses(
    storage: StorageCluster, device_class: str, domain: str
) -> None:
    storage.make_rule(RULE, device_class="tier1", domain="host")
    with pytest.raises(Conflict, match="exists already"):
        storage.make_rule(RULE, device_class=device_class, domain=domain)


def test_a_rule_over_disks_names_them_as_its_domain(storage: StorageCluster) -> None:
    storage.make_rule(RULE, device_class="tier2", domain="osd")
    assert next(rule.domain for rule in storage.rules() if rule.name == RULE) == "osd"


def test_a_rule_for_a_tier_without_disks_is_refused(storage: StorageCluster) -> None:
    with pytest.raises(Refused, match="tier9") as caught:
        storage.make_rule(RULE, device_class="tier9", domain="host")
    assert "Add a disk" in caught.value.advice


def test_a_profile_is_made_once_and_read_as_it_was_told(storage: StorageCluster) -> None:
    assert storage.make_profile(CODE) is True
    assert storage.make_profile(CODE) is False
    assert CODE in storage.profiles()


def test_a_profile_of_another_shape_is_somebody_elses(storage: StorageCluster) -> None:
    storage.make_profile(CODE)
    with pytest.raises(Conflict, match="2\\+1 over host"):
        storage.make_profile(Profile(CODE.name, 4, 2, "host", "tier1"))


@pytest.mark.parametrize(("size", "least"), [(1, 1), (2, 1), (3, 2)])
def test_a_pool_of_copies_is_as_asked_for_and_made_once(storage: StorageCluster, size: int, least: int) -> None:
    assert make_copies(storage, size=size) is True
    assert make_copies(storage, size=size) is False
    pool = pool_of(storage, POOL)
    assert (pool.coded, pool.size, pool.min_size, pool.rule) == (False, size, least, RULE)
    assert pool.applications == {"rbd": MARKS}
    assert pool.data_chunks == 1


def test_a_coded_pool_is_as_asked_for_and_made_once(storage: StorageCluster) -> None:
    assert make_coded(storage) is True
    assert make_coded(storage) is False
    pool = pool_of(storage, POOL)
    assert (pool.coded, pool.size, pool.min_size, pool.data_chunks) == (True, 3, 3, 2)
    assert (pool.profile, pool.rule) == (CODE.name, POOL)
    assert pool.applications == {"rbd": MARKS}
    rule = next(rule for rule in storage.rules() if rule.name == POOL)
    assert (rule.coded, rule.device_class, rule.domain) == (True, "tier1", "host")


def test_a_new_pool_has_room(storage: StorageCluster) -> None:
    make_copies(storage)
    eventually(lambda: pool_of(storage.look(), POOL).available > 0)


def test_what_a_pool_needs_is_missed(storage: StorageCluster) -> None:
    with pytest.raises(NotFound, match="rule"):
        storage.make_replicated_pool(POOL, size=2, rule=RULE, application="rbd", marks=MARKS)
    with pytest.raises(NotFound, match="profile"):
        storage.make_coded_pool(POOL, profile=CODE, application="rbd", marks=MARKS)
    assert names(storage) == set()


def test_a_pool_of_another_shape_is_not_taken_for_the_one_asked_for(storage: StorageCluster) -> None:
    make_copies(storage, size=2)
    with pytest.raises(Conflict, match="keeps its data otherwise"):
        make_copies(storage, size=3)
    with pytest.raises(Conflict):
        make_coded(storage)


def test_a_pool_made_by_hand_is_neither_used_nor_removed_nor_looked_into(storage_subject: Subject) -> None:
    storage_subject.make_foreign_pool(POOL)
    before = pool_of(storage_subject.cluster, POOL)
    with pytest.raises(Conflict, match="somebody else"):
        make_copies(storage_subject.cluster)
    with pytest.raises(Conflict, match="somebody else"):
        storage_subject.cluster.remove_pool(POOL, marks=MARKS)
    with pytest.raises(Refused):
        storage_subject.cluster.images(POOL)
    assert pool_of(storage_subject.cluster, POOL).applications == before.applications


def test_a_pool_with_other_marks_is_not_removed(storage: StorageCluster) -> None:
    make_copies(storage)
    with pytest.raises(Conflict, match="marks"):
        storage.remove_pool(POOL, marks={"mooring": "another"})
    assert POOL in names(storage)


@pytest.mark.parametrize("name", ["rbd", "mooring-", "-h", "mooring-a b", "mooring-;id", "mooring-a/b", "mooring-a@s"])
def test_a_name_that_is_not_the_panels_is_refused(storage: StorageCluster, name: str) -> None:
    with pytest.raises(Refused, match="is no name"):
        storage.make_rule(name, device_class="tier1", domain="host")
    with pytest.raises(Refused, match="is no name"):
        storage.make_replicated_pool(name, size=2, rule=RULE, application="rbd", marks=MARKS)
    with pytest.raises(Refused, match="is no name"):
        storage.make_coded_pool(name, profile=CODE, application="rbd", marks=MARKS)
    with pytest.raises(Refused, match="is no name"):
        storage.make_profile(Profile(name, 2, 1, "host", "tier1"))
    with pytest.raises(Refused, match="is no name"):
        storage.remove_pool(name, marks=MARKS)
    for remove in (storage.remove_rule, storage.remove_profile):
        with pytest.raises(Refused, match="is no name"):
            remove(name)


@pytest.mark.parametrize("make", [make_copies, make_coded])
def test_a_pool_whose_making_was_interrupted_is_completed(storage_subject: Subject, make: object) -> None:
    assert callable(make)
    with storage_subject.interrupted(), pytest.raises(Unreachable):
        make(storage_subject.cluster)
    assert POOL not in {pool.name for pool in storage_subject.cluster.pools()}
    assert make(storage_subject.cluster) is True
    assert pool_of(storage_subject.cluster, POOL).applications == {"rbd": MARKS}
    assert POOL + UNFINISHED not in names(storage_subject.cluster)


@pytest.mark.parametrize("make", [make_copies, make_coded])
def test_nothing_is_left_of_a_pool_whose_making_was_interrupted(storage_subject: Subject, make: object) -> None:
    assert callable(make)
    with storage_subject.interrupted(), pytest.raises(Unreachable):
        make(storage_subject.cluster)
    assert storage_subject.cluster.remove_pool(POOL, marks=MARKS) is True
    assert storage_subject.cluster.remove_pool(POOL, marks=MARKS) is False
    assert names(storage_subject.cluster) <= {RULE, CODE.name}


def test_a_coded_pool_takes_its_rule_along_and_leaves_the_profile(storage: StorageCluster) -> None:
    make_coded(storage)
    assert storage.remove_pool(POOL, marks=MARKS) is True
    assert names(storage) == {CODE.name}
    assert storage.remove_profile(CODE.name) is True
    assert storage.remove_profile(CODE.name) is False


def test_a_rule_and_a_profile_stay_while_a_pool_uses_them(storage: StorageCluster) -> None:
    make_copies(storage)
    make_coded(storage, OTHER)
    with pytest.raises(Conflict, match=f"used by {POOL}"):
        storage.remove_rule(RULE)
    with pytest.raises(Conflict, match=f"used by {OTHER}"):
        storage.remove_profile(CODE.name)
    storage.remove_pool(POOL, marks=MARKS)
    assert storage.remove_rule(RULE) is True
    assert storage.remove_rule(RULE) is False


def test_images_are_listed_with_those_in_the_trash(storage_subject: Subject) -> None:
    make_copies(storage_subject.cluster)
    assert storage_subject.cluster.images(POOL) == ()
    storage_subject.make_image(POOL, "one")
    storage_subject.make_image(POOL, "two")
    storage_subject.trash_image(POOL, "two")
    assert storage_subject.cluster.images(POOL) == ("one", "trash/two")
    with pytest.raises(NotFound):
        storage_subject.cluster.images(OTHER)


def test_where_images_keep_their_data_is_set_once(storage_subject: Subject) -> None:
    make_copies(storage_subject.cluster)
    make_coded(storage_subject.cluster, OTHER)
    assert storage_subject.cluster.set_default_data_pool(POOL, OTHER) is True
    assert storage_subject.cluster.set_default_data_pool(POOL, OTHER) is False
    storage_subject.make_image(POOL, "one")
    assert storage_subject.cluster.images(OTHER) == ()
    with pytest.raises(NotFound):
        storage_subject.cluster.set_default_data_pool(POOL, f"{PREFIX}nothing")
