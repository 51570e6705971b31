"""One look at a cluster: which commands are asked, and what is remembered between two looks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infrastructure.drivers.errors import DriverError, Unreachable
from storage.drivers import ceph_log, ceph_parse, ceph_pools, ceph_settings
from storage.drivers.ceph_connection import Connection
from storage.drivers.ceph_crush import Crush, crush
from storage.drivers.ceph_json import rows, table, text, whole
from storage.drivers.ceph_round import Round
from storage.drivers.facts import ClusterFacts, Event, PoolFacts

LOOK_SECONDS = 4.0
_MANAGER_SECONDS = 2.0
# A manager that did not answer is not asked for this long: the monitors replace one within half a minute.
_MANAGER_PAUSE = 10.0
_METADATA_SECONDS = 60.0  # what daemons are: hosts, versions, devices
_LOG_SECONDS = 30.0


@dataclass(frozen=True)
class _Monitors:
    """What the monitors told."""

    status: dict[str, Any]
    health: dict[str, Any]
    osd_dump: dict[str, Any]
    map_: Crush
    df: dict[str, Any]
    quorum: dict[str, Any]
    mgr_dump: dict[str, Any]
    fs_dump: dict[str, Any]
    recovery: dict[str, str]
    events: tuple[Event, ...] | None
    metadata: Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class _Manager:
    """What the manager told; kept for the time in which none answers."""

    df: Mapping[str, Any] = field(default_factory=dict)
    perf: Mapping[str, Any] = field(default_factory=dict)
    urgent: int = 0


class Looker:
    """Looks at one cluster. Safe from any thread: what it remembers is replaced as a whole."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._metadata: tuple[float, Mapping[str, list[dict[str, Any]]], frozenset[str]] = (-1e9, {}, frozenset())
        self._log: tuple[float, tuple[Event, ...] | None] = (-1e9, None)
        self._manager = _Manager()
        self._pause_until = 0.0

    def look(self) -> ClusterFacts:
        """See ClusterObserver.look."""
        where = self._connection.access.name
        told = self._connection.run(
            lambda handle: self._ask_monitors(Round(handle, where)), seconds=LOOK_SECONDS, doing="tell its state"
        )
        pools = ceph_pools.pools(told.osd_dump, told.df, told.map_)
        answers = self._ask_manager(told, pools)
        return self._facts(told, pools, self._manager, answers=answers)

    def _ask_monitors(self, ask: Round) -> _Monitors:
        status = ask.ask_one("status")
        quiet = not table(status, "health", "checks")
        osd_dump, mgr_dump, fs_dump = ask.ask_one("osd dump"), ask.ask_one("mgr dump"), ask.ask_one("fs dump")
        quorum = ask.ask_one("quorum_status")
        return _Monitors(
            status=status,
            health=table(status, "health") if quiet else ask.ask_one("health", detail="detail"),
            osd_dump=osd_dump,
            map_=crush(ask.ask_one("osd crush dump")),
            df=ask.ask_one("df", detail="detail"),
            quorum=quorum,
            mgr_dump=mgr_dump,
            fs_dump=fs_dump,
            recovery=ceph_settings.recovery(rows(ask.ask("config dump"))),
            events=self._events(ask),
            metadata=self._known(ask, frozenset(_starts(osd_dump, quorum, mgr_dump, fs_dump))),
        )

    def _known(self, ask: Round, starts: frozenset[str]) -> Mapping[str, list[dict[str, Any]]]:
        """Metadata of all daemons, asked again when one was started since, and now and then."""
        asked, known, then = self._metadata
        if then != starts or time.monotonic() - asked > _METADATA_SECONDS:
            known = {kind: rows(ask.ask(f"{kind} metadata")) for kind in ("mon", "mgr", "mds", "osd")}
            self._metadata = (time.monotonic(), known, starts)
        return known

    def _events(self, ask: Round) -> tuple[Event, ...] | None:
        """The cluster's log, asked now and then: its last lines are the same from look to look."""
        asked, known = self._log
        if time.monotonic() - asked > _LOG_SECONDS:
            known = ceph_log.ask(ask)
            self._log = (time.monotonic(), known)
        return known

    def _ask_manager(self, told: _Monitors, pools: tuple[PoolFacts, ...]) -> bool:
        """Ask the active manager and remember its figures; False when it did not answer."""
        if table(told.status, "mgrmap").get("available") is not True or time.monotonic() < self._pause_until:
            return False
        where = self._connection.access.name
        up = {whole(row, "osd") for row in rows(told.osd_dump, "osds") if whole(row, "up")}

        def ask(handle: Any) -> _Manager:
            round_ = Round(handle, where)
            urgent = 0
            if not ceph_pools.all_clean(told.status):
                brief = round_.ask_manager("pg dump", dumpcontents=["pgs_brief"])
                urgent = ceph_pools.urgent(brief, pools, up)
            return _Manager(table(round_.ask_manager("osd df")), table(round_.ask_manager("osd perf")), urgent)

        try:
            self._manager = self._connection.run(ask, seconds=_MANAGER_SECONDS, doing="tell its manager's figures")
        except DriverError as error:
            if not isinstance(error, Unreachable) and not error.retryable:
                raise
            self._pause_until = time.monotonic() + _MANAGER_PAUSE
            return False
        return True

    def _facts(
        self, told: _Monitors, pools: tuple[PoolFacts, ...], manager: _Manager, *, answers: bool
    ) -> ClusterFacts:
        known = told.metadata
        disks = ceph_parse.disks(
            told.osd_dump, told.map_, df=manager.df, perf=manager.perf, metadata=known.get("osd", ())
        )
        monitors = ceph_parse.monitors(told.quorum, known.get("mon", ()))
        daemons = (
            *monitors,
            *ceph_parse.managers(told.mgr_dump, known.get("mgr", ())),
            *ceph_parse.metadata_servers(told.fs_dump, known.get("mds", ())),
        )
        return ClusterFacts(
            fsid=text(told.status, "fsid"),
            version=next((daemon.version for daemon in monitors if daemon.up and daemon.version), ""),
            health=text(told.health, "status"),
            checks=ceph_parse.checks(told.health),
            daemons=daemons,
            disks=disks,
            buckets=told.map_.buckets,
            pools=pools,
            rules=told.map_.rules,
            groups=ceph_pools.groups(told.status, pools, manager.urgent),
            flow=ceph_parse.flow(told.status),
            space=ceph_parse.space(disks),
            space_by_class=ceph_parse.space_by_class(disks),
            ratios=ceph_parse.ratios(told.osd_dump),
            flags=ceph_parse.flags(told.osd_dump),
            recovery=told.recovery,
            events=told.events,
            manager_answers=answers,
        )


def _starts(
    osd_dump: Mapping[str, Any], quorum: Mapping[str, Any], mgr_dump: Mapping[str, Any], fs_dump: Mapping[str, Any]
) -> list[str]:
    """What differs once any daemon was started or went: the numbers in addresses, and the names in the quorum."""
    disks = [f"osd.{whole(row, 'osd')} {text(row, 'public_addr')}" for row in rows(osd_dump, "osds")]
    servers = [f"mds {daemon.name} {daemon.role}" for daemon in ceph_parse.metadata_servers(fs_dump, ())]
    names = [f"mon {whole(quorum, 'election_epoch')}", f"mgr {text(mgr_dump, 'active_addr')}"]
    return [*disks, *servers, *names, *(f"mgr {text(row, 'name')}" for row in rows(mgr_dump, "standbys"))]
