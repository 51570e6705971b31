"""Ceph's answers become facts; what is missing or odd in them becomes "unknown", never an exception."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.drivers import ceph_parse, ceph_pools
from storage.drivers.ceph_crush import crush
from storage.drivers.facts import Bucket, Daemon, Flow, HealthCheck, PoolFacts, Profile, Ratios, Rule, Space
from tests.storage import ceph_answers as told

POOLS = ceph_pools.pools(told.OSD_DUMP, told.DF, crush(told.CRUSH))
NOBODY = 2147483647


def disks() -> tuple[Any, ...]:
    return ceph_parse.disks(
        told.OSD_DUMP, crush(told.CRUSH), df=told.OSD_DF, perf=told.OSD_PERF, metadata=told.OSD_METADATA
    )


def test_the_crush_map_without_its_shadow_trees() -> None:
    read = crush(told.CRUSH)
    assert read.buckets == (
        Bucket(-1, "default", "root", (-2, -3)),
        Bucket(-2, "one", "host", (0,)),
        Bucket(-3, "two", "host", (1,)),
    )
    assert (read.classes, read.weights, read.hosts) == (
        {0: "tier1", 1: "tier2"},
        {0: 1.0, 1: 0.5},
        {0: "one", 1: "two"},
    )


def test_simple_rules_say_root_class_and_domain() -> None:
    assert crush(told.CRUSH).rules == (
        Rule(0, "replicated_rule", False, "default", "", "host"),
        Rule(1, "mooring-e", True, "default", "tier1", "osd"),
    )


@pytest.mark.parametrize(
    "steps",
    [
        [{"op": "take", "item_name": "a"}, {"op": "chooseleaf_firstn", "type": "host"}, {"op": "emit"}] * 2,
        [{"op": "take", "item_name": "a"}, {"op": "choose_firstn", "type": "host"}, {"op": "emit"}],
        [{"op": "take", "item_name": "a"}, {"op": "emit"}],
    ],
)
def test_a_rule_of_another_kind_claims_nothing(steps: list[dict[str, Any]]) -> None:
    assert crush({"rules": [{"rule_id": 7, "rule_name": "odd", "type": 1, "steps": steps}]}).rules == (
        Rule(7, "odd", False),
    )


def test_a_disk_has_its_figures_place_and_device() -> None:
    disk = disks()[0]
    assert (disk.host, disk.tier, disk.crush_weight, disk.up, disk.taken) == ("one", 1, 1.0, True, True)
    assert (disk.size, disk.used, disk.groups) == (4096 * 1024, 1024 * 1024, 6)
    assert disk.commit_ms == 3
    assert (disk.device, disk.rotational, disk.version, disk.address) == ("sdb", True, "16.2.15", "10.0.0.1:6801")


def test_a_disk_that_is_down_has_no_latency_and_no_address() -> None:
    disk = disks()[1]
    assert (disk.up, disk.taken, disk.commit_ms, disk.address, disk.rotational) == (False, False, None, "", None)


def test_a_disk_that_ceph_never_took_in_is_starting_until_it_runs() -> None:
    def read(row: dict[str, Any]) -> Any:
        return ceph_parse.disks({"osds": [row]}, crush({}), df={}, perf={}, metadata=[])[0]

    made = {"osd": 9, "up": 0, "in": 0, "state": ["exists", "new"]}
    assert read(made).starting
    assert not read(made | {"up": 1, "in": 1, "state": ["exists", "up"]}).starting
    assert not read(made | {"state": ["autoout", "exists"]}).starting


def test_space_is_that_of_disks_that_are_up() -> None:
    assert ceph_parse.space(disks()) == Space(4 << 20, 1 << 20, 3 << 20)
    assert ceph_parse.space_by_class(disks()) == {"tier1": Space(4 << 20, 1 << 20, 3 << 20), "tier2": Space()}


def test_pools_of_copies_and_coded_ones() -> None:
    copies, coded = POOLS
    assert copies == PoolFacts(
        1, "rbd", False, 2, 1, "replicated_rule", groups=16, stored=100, used=200, available=1000, objects=3
    )
    assert (coded.coded, coded.profile, coded.data_chunks, coded.rule) == (True, "p21", 2, "mooring-e")
    assert coded.applications == {"rbd": {"mooring": "vm"}}
    assert ceph_pools.profiles(told.OSD_DUMP) == (Profile("p21", 2, 1, "host", "tier1"),)


def test_daemons_and_what_they_do() -> None:
    assert ceph_parse.monitors(told.QUORUM, told.MON_METADATA) == (
        Daemon("mon", "one", "peon", True, address="10.0.0.1:6789"),
        Daemon("mon", "two", "leader", True, "host2", "10.0.0.1:6789", "16.2.15"),
        Daemon("mon", "three", "", False, address="10.0.0.1:6789"),
    )
    assert [(daemon.name, daemon.role) for daemon in ceph_parse.managers(told.MGR_DUMP, ())] == [
        ("one", "active"),
        ("two", "standby"),
    ]
    assert [(daemon.name, daemon.role) for daemon in ceph_parse.metadata_servers(told.FS_DUMP, ())] == [
        ("one", "active"),
        ("two", "standby"),
    ]


def test_health_flow_marks_and_flags() -> None:
    assert ceph_parse.checks(told.HEALTH) == (
        HealthCheck("OSD_DOWN", "HEALTH_WARN", "1 osds down", ("osd.1 is down",)),
    )
    assert ceph_parse.flow(told.STATUS) == Flow(read_bytes=2048, write_ops=7)
    assert ceph_parse.ratios(told.OSD_DUMP) == Ratios(0.85, 0.90, 0.95)
    assert ceph_parse.flags(told.OSD_DUMP) == ("noout",)


def test_groups_count_copies_from_the_pools_until_some_are_missing() -> None:
    groups = ceph_pools.groups(told.STATUS, POOLS, 0)
    assert (groups.total, dict(groups.states), groups.objects, groups.copies) == (17, {"active+clean": 17}, 5, 6)
    short = {"pgmap": {"degraded_total": 40, "degraded_objects": 4, "misplaced_objects": 2, "unfound_objects": 1}}
    groups = ceph_pools.groups(short, POOLS, 3)
    assert (groups.copies, groups.degraded_copies, groups.misplaced_copies, groups.unfound, groups.urgent) == (
        40,
        4,
        2,
        1,
        3,
    )


@pytest.mark.parametrize(
    ("state", "clean"),
    [
        ("active+clean", True),
        ("active+clean+scrubbing+deep", True),
        ("active+undersized+degraded", False),
        ("unknown", False),
    ],
)
def test_scrubbing_is_no_lack(state: str, clean: bool) -> None:
    assert ceph_pools.all_clean({"pgmap": {"pgs_by_state": [{"state_name": state, "count": 1}]}}) is clean


@pytest.mark.parametrize(
    ("pgid", "acting", "urgent"),
    [
        ("1.0", [0, 1], 0),
        ("1.0", [0], 1),
        ("1.0", [0, 9], 1),  # 9 is down, Ceph has not noticed in the map of groups
        ("2.0", [0, 1, 2], 0),
        ("2.0", [0, NOBODY, 2], 1),
        ("2.0", [0, NOBODY, NOBODY], 1),
        ("99.0", [0], 0),
        ("odd", [0], 0),
    ],
)
def test_groups_with_one_copy_or_no_spare_chunk_are_urgent(pgid: str, acting: list[int], urgent: int) -> None:
    rows = [{"pgid": pgid, "acting": acting, "state": "active+undersized+degraded"}]
    assert ceph_pools.urgent({"pg_ready": True, "pg_stats": rows}, POOLS, {0, 1, 2}) == urgent
    assert ceph_pools.urgent(rows, POOLS, {0, 1, 2}) == urgent


@pytest.mark.parametrize(
    "state", ["undersized+degraded+peered", "down", "stale+active+undersized+degraded", "creating+peering", "unknown"]
)
def test_a_group_that_is_not_served_is_worse_than_urgent(state: str) -> None:
    """With one copy left a pool of three is below its min_size; counted as urgent it would hide what others are."""
    rows = [{"pgid": "1.0", "acting": [0], "state": state}]
    assert ceph_pools.urgent(rows, POOLS, {0, 1, 2}) == 0


def mangled(value: Any) -> st.SearchStrategy[Any]:
    """The answer with any of its parts missing or of another kind."""
    odd = st.sampled_from([None, 0, -1, 1e400, "x", "", True, [], {}, [None], {"x": 1}])
    if isinstance(value, dict):
        kept = st.fixed_dictionaries({}, optional={key: mangled(part) for key, part in value.items()})
        return st.one_of(kept, kept, kept, odd)
    if isinstance(value, list):
        parts = [mangled(part) for part in value] or [odd]
        return st.one_of(st.lists(st.one_of(parts), max_size=4), odd)
    return st.one_of(st.just(value), st.just(value), odd)


@given(mangled(told.OSD_DUMP), mangled(told.CRUSH), mangled(told.DF), mangled(told.OSD_DF), mangled(told.OSD_PERF))
def test_odd_maps_are_read_without_an_exception(osd_dump: Any, dump: Any, df: Any, osd_df: Any, perf: Any) -> None:
    map_ = crush(dump)
    found = ceph_parse.disks(osd_dump, map_, df=osd_df, perf=perf, metadata=[{}])
    pools = ceph_pools.pools(osd_dump, df, map_)
    assert all(pool.data_chunks >= 1 and pool.name for pool in pools)
    assert ceph_parse.space(found).available >= 0
    ceph_parse.ratios(osd_dump)
    ceph_parse.flags(osd_dump)
    ceph_pools.urgent([{"pgid": "1.0", "acting": [0], "state": "active"}], pools, {0})


@given(mangled(told.STATUS), mangled(told.HEALTH), mangled(told.QUORUM), mangled(told.MGR_DUMP), mangled(told.FS_DUMP))
def test_odd_states_are_read_without_an_exception(status: Any, health: Any, quorum: Any, mgr: Any, fs: Any) -> None:
    ceph_parse.checks(health)
    ceph_parse.flow(status)
    assert ceph_pools.groups(status, (), 0).total >= -1
    ceph_pools.all_clean(status)
    daemons = (*ceph_parse.monitors(quorum, [{}]), *ceph_parse.managers(mgr, [{}]))
    assert all(daemon.up == bool(daemon.role) for daemon in (*daemons, *ceph_parse.metadata_servers(fs, [{}])))
