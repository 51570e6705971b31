"""Health, daemons, disks, space and flow as Ceph tells them, read into facts."""

from collections.abc import Iterable, Mapping
from typing import Any

from storage.drivers.ceph_crush import Crush
from storage.drivers.ceph_json import real, rows, table, text, whole, words
from storage.drivers.facts import Daemon, DiskFacts, Flow, HealthCheck, Ratios, Space

_KIB = 1024
# Flags that every cluster of a release has; they tell an administrator nothing.
_USUAL_FLAGS = frozenset({"sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"})


def checks(health: Mapping[str, Any]) -> tuple[HealthCheck, ...]:
    """The raised checks of `health detail`, or of the shorter `status`, whose checks have no details."""
    return tuple(
        HealthCheck(
            code=code,
            severity=text(told, "severity"),
            summary=text(told, "summary", "message"),
            details=tuple(text(row, "message") for row in rows(told, "detail")),
            muted=table(told).get("muted") is True,
        )
        for code, told in table(health, "checks").items()
    )


def flow(status: Mapping[str, Any]) -> Flow:
    """What `status` tells of the moment; figures that are zero are not in it."""
    told = table(status, "pgmap")
    return Flow(
        read_bytes=real(told, "read_bytes_sec"),
        write_bytes=real(told, "write_bytes_sec"),
        read_ops=real(told, "read_op_per_sec"),
        write_ops=real(told, "write_op_per_sec"),
        recovery_bytes=real(told, "recovering_bytes_per_sec"),
    )


def ratios(osd_dump: Mapping[str, Any]) -> Ratios:
    """The marks of `osd dump`; they are single-precision there: 0.85 is 0.8500000238."""
    usual = Ratios()
    return Ratios(
        near_full=round(real(osd_dump, "nearfull_ratio", default=usual.near_full), 4),
        backfill_full=round(real(osd_dump, "backfillfull_ratio", default=usual.backfill_full), 4),
        full=round(real(osd_dump, "full_ratio", default=usual.full), 4),
    )


def flags(osd_dump: Mapping[str, Any]) -> tuple[str, ...]:
    """The flags that somebody set ("noout"), or that Ceph did ("full")."""
    return tuple(flag for flag in text(osd_dump, "flags").split(",") if flag and flag not in _USUAL_FLAGS)


def address(told: str) -> str:
    """ "10.0.0.1:6800/123" without the number that tells one start of a daemon from the next."""
    return told.partition("/")[0]


def disks(
    osd_dump: Mapping[str, Any],
    map_: Crush,
    *,
    df: Mapping[str, Any],
    perf: Mapping[str, Any],
    metadata: Iterable[Mapping[str, Any]],
) -> tuple[DiskFacts, ...]:
    """The disks of `osd dump` with their figures (`osd df`, `osd perf`) and what is known of them (`osd metadata`)."""
    figures = {whole(row, "id"): row for row in (*rows(df, "nodes"), *rows(df, "stray"))}
    infos = rows(perf, "osdstats", "osd_perf_infos") or rows(perf, "osd_perf_infos")
    latencies = {whole(row, "id"): table(row, "perf_stats") for row in infos}
    about = {whole(row, "id"): row for row in metadata}
    return tuple(
        _disk(
            row,
            map_,
            figures=figures.get(number, {}),
            latency=latencies.get(number, {}),
            about=about.get(number, {}),
        )
        for row in rows(osd_dump, "osds")
        if (number := whole(row, "osd", default=-1)) >= 0
    )


def _disk(
    row: dict[str, Any],
    map_: Crush,
    *,
    figures: Mapping[str, Any],
    latency: Mapping[str, Any],
    about: Mapping[str, Any],
) -> DiskFacts:
    number, up = whole(row, "osd"), bool(whole(row, "up"))
    rotational = text(about, "rotational")
    return DiskFacts(
        id=number,
        uuid=text(row, "uuid"),
        device_class=map_.classes.get(number, ""),
        host=map_.hosts.get(number, ""),
        up=up,
        taken=bool(whole(row, "in")),
        crush_weight=map_.weights.get(number, 0.0),
        reweight=real(row, "weight"),
        size=whole(figures, "kb") * _KIB,
        used=whole(figures, "kb_used") * _KIB,
        groups=whole(figures, "pgs"),
        # What a disk that is down took for its last writes says nothing of now.
        commit_ms=real(latency, "commit_latency_ms") if up and latency else None,
        device=text(about, "bluestore_bdev_devices") or text(about, "devices"),
        rotational=rotational == "1" if rotational else None,
        version=text(about, "ceph_version_short"),
        address=address(text(row, "public_addr")) if up else "",
        new="new" in words(row, "state"),
    )


def space(of: Iterable[DiskFacts]) -> Space:
    """Raw space of those that are up."""
    there = [disk for disk in of if disk.up]
    total, used = sum(disk.size for disk in there), sum(disk.used for disk in there)
    return Space(total, used, max(0, total - used))


def space_by_class(of: Iterable[DiskFacts]) -> dict[str, Space]:
    """The same for each device class that a disk has."""
    every = tuple(of)
    classes = sorted({disk.device_class for disk in every if disk.device_class})
    return {name: space(disk for disk in every if disk.device_class == name) for name in classes}


def monitors(quorum: Mapping[str, Any], metadata: Iterable[Mapping[str, Any]]) -> tuple[Daemon, ...]:
    """All monitors of the map (`quorum_status`): up are those in the quorum."""
    inside, leader = words(quorum, "quorum_names"), text(quorum, "quorum_leader_name")
    about = {text(row, "name"): row for row in metadata}
    return tuple(
        _daemon(
            "mon",
            name := text(row, "name"),
            about,
            role=("leader" if name == leader else "peon") if name in inside else "",
            where=text(row, "public_addr") or text(row, "addr"),
        )
        for row in rows(quorum, "monmap", "mons")
    )


def managers(mgr_dump: Mapping[str, Any], metadata: Iterable[Mapping[str, Any]]) -> tuple[Daemon, ...]:
    """The active manager of `mgr dump` and those that stand by; Ceph forgets one that is down."""
    about = {text(row, "name"): row for row in metadata}
    found = []
    if name := text(mgr_dump, "active_name"):
        role = "active" if mgr_dump.get("available") is True else ""
        found.append(_daemon("mgr", name, about, role=role, where=text(mgr_dump, "active_addr")))
    standbys = [text(row, "name") for row in rows(mgr_dump, "standbys")]
    return (*found, *(_daemon("mgr", name, about, role="standby") for name in standbys if name))


def metadata_servers(fs_dump: Mapping[str, Any], metadata: Iterable[Mapping[str, Any]]) -> tuple[Daemon, ...]:
    """The metadata servers of all file systems (`fs dump`) and those that stand by; Ceph forgets one that is down."""
    about = {text(row, "name"): row for row in metadata}
    serving = [
        row for system in rows(fs_dump, "filesystems") for row in table(system, "mdsmap", "info").values() if row
    ]
    return tuple(
        _daemon("mds", name, about, role="active" if _serves(row) else "standby", where=text(row, "addr"))
        for row in (*serving, *rows(fs_dump, "standbys"))
        if (name := text(row, "name"))
    )


def _serves(row: object) -> bool:
    # "up:active", or on its way there: replay, reconnect, rejoin; "up:standby" and "up:standby-replay" wait
    return not text(row, "state").startswith("up:standby")


def _daemon(kind: str, name: str, about: Mapping[str, Mapping[str, Any]], *, role: str, where: str = "") -> Daemon:
    known = about.get(name, {})
    return Daemon(
        kind,
        name,
        role,
        up=bool(role),
        host=text(known, "hostname"),
        address=address(where),
        version=text(known, "ceph_version_short"),
    )
