"""What a look at the cluster told, as the columns of its rows, and back.

Cluster.status, buckets, pools and events hold plain JSON of `FORMAT`; disks have rows of their own. A field that gets
a default in storage/drivers/facts.py needs no new format; one that is renamed or taken away does.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any
from uuid import UUID

from storage.drivers.facts import (
    Bucket,
    ClusterFacts,
    Daemon,
    DiskFacts,
    Event,
    Flow,
    Groups,
    HealthCheck,
    PoolFacts,
    Ratios,
    Rule,
    Space,
)
from storage.models import Cluster, Disk

FORMAT = 2
_IN_STATUS = (
    *("fsid", "version", "health", "checks", "daemons", "rules", "groups", "flow", "space", "space_by_class"),
    *("ratios", "flags", "recovery", "manager_answers"),
)
# Columns of a disk's row that are named as the facts name them.
_SAME = (
    *("host", "device_class", "device", "rotational", "address", "version", "up", "taken", "new", "crush_weight"),
    *("reweight", "size", "used", "groups"),
)


def cluster_columns(facts: ClusterFacts) -> dict[str, Any]:
    """Values of Cluster's columns: facts_format, status, buckets, pools, events."""
    return {
        "facts_format": FORMAT,
        "status": {name: _plain(getattr(facts, name)) for name in _IN_STATUS},
        "buckets": _plain(facts.buckets),
        "pools": _plain(facts.pools),
        # Beside the figures, which are written at every look: lines of the log are new now and then.
        "events": _plain(facts.events),
    }


def disk_columns(facts: DiskFacts) -> dict[str, Any]:
    """Values of Disk's observed columns, without down_since, which only the row's past tells."""
    return {name: getattr(facts, name) for name in _SAME} | {
        "uuid": _uuid(facts.uuid),
        "fill": round(100 * facts.used / facts.size, 2) if facts.size else None,
        "latency": facts.commit_ms,
    }


def unpacked(cluster: Cluster, disks: Iterable[Disk]) -> ClusterFacts:
    """The facts again."""
    status: dict[str, Any] = cluster.status
    return ClusterFacts(
        fsid=status["fsid"],
        version=status["version"],
        health=status["health"],
        checks=tuple(HealthCheck(**check | {"details": tuple(check["details"])}) for check in status["checks"]),
        daemons=tuple(Daemon(**daemon) for daemon in status["daemons"]),
        disks=tuple(_disk(disk) for disk in sorted(disks, key=lambda disk: disk.number)),
        buckets=tuple(Bucket(**bucket | {"children": tuple(bucket["children"])}) for bucket in cluster.buckets),
        pools=tuple(PoolFacts(**pool) for pool in cluster.pools),
        rules=tuple(Rule(**rule) for rule in status["rules"]),
        groups=Groups(**status["groups"]),
        flow=Flow(**status["flow"]),
        space=Space(**status["space"]),
        space_by_class={name: Space(**space) for name, space in status["space_by_class"].items()},
        ratios=Ratios(**status["ratios"]),
        flags=tuple(status["flags"]),
        recovery=status.get("recovery"),
        events=None if cluster.events is None else tuple(Event(**event) for event in cluster.events),
        manager_answers=status["manager_answers"],
    )


def _disk(disk: Disk) -> DiskFacts:
    same = {name: getattr(disk, name) for name in _SAME}
    return DiskFacts(id=disk.number, uuid=str(disk.uuid) if disk.uuid else "", commit_ms=disk.latency, **same)


def _plain(value: object) -> Any:
    """As JSON gives it back, so that it can be compared with what was read: tuples are lists."""
    return json.loads(json.dumps(value, default=_of_dataclass))


def _of_dataclass(value: object) -> dict[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:  # an OSD that was never started has none
        return None
