"""Pools, erasure-code profiles and placement groups as Ceph tells them, read into facts."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from storage.drivers.ceph_crush import Crush
from storage.drivers.ceph_json import numbers, rows, table, text, whole
from storage.drivers.facts import Groups, PoolFacts, Profile

_CODED = 3  # the type of erasure-coded pools
_NOBODY = 0x7FFFFFFF  # stands where a placement group has no disk


def profiles(osd_dump: Mapping[str, Any]) -> tuple[Profile, ...]:
    """The erasure-code profiles of `osd dump`."""
    return tuple(_profile(name, told) for name, told in table(osd_dump, "erasure_code_profiles").items())


def _profile(name: str, told: object) -> Profile:
    return Profile(
        name,
        data=whole(told, "k"),
        coding=whole(told, "m"),
        domain=text(told, "crush-failure-domain") or "host",
        device_class=text(told, "crush-device-class"),
        root=text(told, "crush-root") or "default",
        plugin=text(told, "plugin") or "jerasure",
    )


def pools(osd_dump: Mapping[str, Any], df: Mapping[str, Any], map_: Crush) -> tuple[PoolFacts, ...]:
    """The pools of `osd dump` with the figures of `df`, which may lack some."""
    figures = {whole(row, "id"): table(row, "stats") for row in rows(df, "pools")}
    chunks = {profile.name: profile.data for profile in profiles(osd_dump)}
    return tuple(
        _pool(row, figures.get(whole(row, "pool"), {}), chunks, map_)
        for row in rows(osd_dump, "pools")
        if text(row, "pool_name")
    )


def _pool(row: dict[str, Any], figures: dict[str, Any], chunks: Mapping[str, int], map_: Crush) -> PoolFacts:
    coded = whole(row, "type") == _CODED
    profile = text(row, "erasure_code_profile") if coded else ""
    return PoolFacts(
        id=whole(row, "pool"),
        name=text(row, "pool_name"),
        coded=coded,
        size=whole(row, "size"),
        min_size=whole(row, "min_size"),
        rule=map_.rule_name(whole(row, "crush_rule", default=-1)),
        profile=profile,
        data_chunks=max(1, chunks.get(profile, 1)),
        applications={
            name: {key: value for key, value in table(metadata).items() if isinstance(value, str)}
            for name, metadata in table(row, "application_metadata").items()
        },
        groups=whole(row, "pg_num"),
        stored=whole(figures, "stored"),
        used=whole(figures, "bytes_used"),
        available=whole(figures, "max_avail"),
        objects=whole(figures, "objects"),
    )


def groups(status: Mapping[str, Any], pools_: Iterable[PoolFacts], urgent: int) -> Groups:
    """The placement groups of `status`."""
    told = table(status, "pgmap")
    states: dict[str, int] = {}
    for row in rows(told, "pgs_by_state"):
        state = text(row, "state_name")
        states[state] = states.get(state, 0) + whole(row, "count")
    return Groups(
        total=whole(told, "num_pgs"),
        states=states,
        urgent=urgent,
        objects=whole(told, "num_objects"),
        # Ceph tells the number of copies only while some are missing.
        copies=whole(told, "degraded_total") or sum(pool.objects * pool.size for pool in pools_),
        degraded_copies=whole(told, "degraded_objects"),
        misplaced_copies=whole(told, "misplaced_objects"),
        unfound=whole(told, "unfound_objects"),
    )


def all_clean(status: Mapping[str, Any]) -> bool:
    """Whether no placement group lacks anything; scrubbing and the like are no lack."""
    states = rows(status, "pgmap", "pgs_by_state")
    return all({"active", "clean"} <= set(text(row, "state_name").split("+")) for row in states)


def urgent(brief: object, pools_: Iterable[PoolFacts], up: Collection[int]) -> int:
    """How many placement groups are served, lack copies and have one left, or no more chunks than are needed to read.

    ``brief`` is the answer to `pg dump pgs_brief`, ``up`` the disks that run.
    """
    known = {pool.id: pool for pool in pools_}
    found = 0
    told = rows(brief) or rows(brief, "pg_stats")
    for row in told:
        number = text(row, "pgid").partition(".")[0]
        pool = known.get(int(number)) if number.isdecimal() else None
        state = text(row, "state").split("+")
        if pool is None or "active" not in state or "stale" in state:
            continue
        left = sum(disk != _NOBODY and disk in up for disk in numbers(row, "acting"))
        found += left < pool.size and left <= pool.data_chunks
    return found
