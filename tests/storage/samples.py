"""Facts as the driver tells them, and rows that hold them, for the tests of the storage."""

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from django.utils import timezone

from storage.choices import ClusterState
from storage.drivers.facts import (
    Bucket,
    ClusterFacts,
    Daemon,
    DiskFacts,
    Flow,
    Groups,
    PoolFacts,
    Rule,
    Space,
)
from storage.models import Cluster
from storage.services import observed

FSID = "7c1f0c5e-2f2b-4a0f-9d0b-5a5f6c1d2e3f"
HOSTS = ("primary", "secondnode1", "secondnode2")
GIB = 1 << 30


def disk_facts(number: int, **changes: Any) -> DiskFacts:
    values: dict[str, Any] = {
        "id": number,
        "uuid": str(uuid5(NAMESPACE_DNS, f"disk {number}")),
        "device_class": "tier1",
        "host": "primary",
        "up": True,
        "taken": True,
        "crush_weight": 1.0,
        "reweight": 1.0,
        "size": 4 * GIB,
        "used": GIB,
        "groups": 32,
        "commit_ms": 2.0,
        "device": "",
        "rotational": False,
        "version": "16.2.15",
        "address": f"10.0.0.11:{6800 + number}",
    }
    return DiskFacts(**values | changes)


def pool_facts(number: int, name: str, **changes: Any) -> PoolFacts:
    values: dict[str, Any] = {
        "id": number,
        "name": name,
        "coded": False,
        "size": 3,
        "min_size": 2,
        "rule": "mooring-tier1-host",
        "applications": {"rbd": {}},
        "groups": 32,
        "stored": GIB,
        "used": 3 * GIB,
        "available": 8 * GIB,
        "objects": 256,
    }
    return PoolFacts(**values | changes)


def cluster_facts(
    *,
    hosts: Sequence[str] = HOSTS,
    disks: int = 3,
    tiers: Sequence[int] = (1, 2),
    racks: Sequence[str] = (),
    rooms: Sequence[str] = (),
    **changes: Any,
) -> ClusterFacts:
    """A healthy cluster: `disks` on each host, their tiers taken in turn; racks[i], rooms[i]: where hosts[i] stands.

    Disk numbers rise host by host. `changes` replaces whole fields of the facts, such as health="HEALTH_WARN".
    """
    made = tuple(
        disk_facts(index * disks + place, host=host, device_class=f"tier{tiers[place % len(tiers)]}")
        for index, host in enumerate(hosts)
        for place in range(disks)
    )
    values: dict[str, Any] = {
        "fsid": FSID,
        "version": "16.2.15",
        "health": "HEALTH_OK",
        "checks": (),
        "daemons": _daemons(hosts),
        "disks": made,
        "buckets": buckets(hosts, made, racks, rooms),
        "pools": (pool_facts(1, "device_health_metrics", applications={"mgr_devicehealth": {}}),),
        "rules": (Rule(0, "mooring-tier1-host", coded=False, root="default", device_class="tier1", domain="host"),),
        "groups": Groups(total=33, states={"active+clean": 33}, objects=256, copies=768),
        "flow": Flow(),
        "space": _space(made),
        "space_by_class": {
            name: _space([disk for disk in made if disk.device_class == name])
            for name in sorted({disk.device_class for disk in made})
        },
    }
    return ClusterFacts(**values | changes)


def make_cluster(name: str = "storage1", facts: ClusterFacts | None = None, **columns: Any) -> Cluster:
    """A connected cluster as the collector would have written it; `facts`: by default those of cluster_facts()."""
    facts = facts or cluster_facts()
    defaults = {
        "fsid": facts.fsid,
        "monitors": ["10.0.0.11:3300", "10.0.0.12:3300", "10.0.0.13:3300"],
        "state": ClusterState.NEW,
        "connected_at": timezone.now(),
    }
    cluster = Cluster.objects.create(name=name, **defaults | columns)
    observed.record(cluster, facts)
    return Cluster.objects.get(pk=cluster.pk)


def buckets(
    hosts: Sequence[str], disks: Sequence[DiskFacts], racks: Sequence[str] = (), rooms: Sequence[str] = ()
) -> tuple[Bucket, ...]:
    """The CRUSH map: root ▸ room ▸ rack ▸ host; levels that are not given are left out."""
    made = [
        Bucket(-2 - index, host, "host", tuple(disk.id for disk in disks if disk.host == host))
        for index, host in enumerate(hosts)
    ]
    tops = {host: made[index] for index, host in enumerate(hosts)}
    for type_, names in (("rack", racks), ("room", rooms)):
        if not names:
            continue
        above: dict[str, Bucket] = {}
        for name in dict.fromkeys(names):
            inside = dict.fromkeys(tops[host].id for host, place in zip(hosts, names, strict=True) if place == name)
            above[name] = Bucket(-2 - len(made), name, type_, tuple(inside))
            made.append(above[name])
        tops = {host: above[place] for host, place in zip(hosts, names, strict=True)}
    root = Bucket(-1, "default", "root", tuple(dict.fromkeys(top.id for top in tops.values())))
    return (root, *made)


def _space(disks: Sequence[DiskFacts]) -> Space:
    total, used = sum(disk.size for disk in disks), sum(disk.used for disk in disks)
    return Space(total=total, used=used, available=total - used)


def _daemons(hosts: Sequence[str]) -> tuple[Daemon, ...]:
    found = []
    for index, host in enumerate(hosts[:3]):
        address = f"10.0.0.{11 + index}"
        known: dict[str, Any] = {"up": True, "host": host, "address": address, "version": "16.2.15"}
        found.append(Daemon("mon", host, "peon" if index else "leader", **known))
        if index < 2:
            found.append(Daemon("mgr", host, "standby" if index else "active", **known))
        if index == 0:
            found.append(Daemon("mds", host, "active", **known))
    return tuple(found)
