"""What `bin/lab status` tells of the storage."""

from typing import Any

from lab import ceph_client, ceph_cluster, ceph_conf, ceph_files, ceph_layout
from lab.ceph_client import Client
from lab.errors import LabError
from lab.instance import Instance
from lab.node import Node

_LIMIT = 5.0  # seconds for a quorum to answer


def report(instance: Instance) -> dict[str, Any] | None:
    """{"fsid", "disks", "one_tier", "health", "why", "monitors": [{"name", "quorum"}], "managers": [{"name", "state"}],
    "osds": [{"id", "node", "tier", "up", "in", "disk"}]}, or None before the first up.

    "health" is Ceph's word, or None when it does not answer, with "why"; what only the cluster knows is None then too.
    "state" is "active", "standby" or "down"; "disk" is "on" or "off".
    """
    choice = instance.storage
    if choice is None:
        return None
    known: dict[str, Any] = {"health": None, "quorum": [], "managers": {}, "osds": {}, "tiers": {}}
    why = "" if ceph_cluster.quorum_possible(instance) else "no quorum is possible: two nodes need power and link"
    if not why:
        try:
            with ceph_client.connected(instance, timeout=_LIMIT) as client:
                known = _ask(client)
        except LabError as error:
            why = str(error)
    silent = known["health"] is None
    return {
        "fsid": ceph_conf.fsid(instance),
        "disks": choice.disks,
        "one_tier": choice.one_tier,
        "health": known["health"],
        "why": why,
        "monitors": [{"name": name, "quorum": name in known["quorum"]} for name in ceph_layout.MONITORS],
        "managers": [
            {"name": name, "state": None if silent else known["managers"].get(name, "down")}
            for name in ceph_layout.MANAGERS
        ],
        "osds": [_osd(instance, osd, known) for osd in ceph_layout.osds(choice)],
    }


def _ask(client: Client) -> dict[str, Any]:
    managers = client.ask("mgr dump")
    states = {entry["name"]: "standby" for entry in managers["standbys"]}
    if managers["available"]:
        states[managers["active_name"]] = "active"
    return {
        "health": client.ask("health")["status"],
        "quorum": client.ask("quorum_status")["quorum_names"],
        "managers": states,
        "osds": ceph_cluster.up_osds(client),
        "tiers": {entry["id"]: entry.get("device_class") for entry in client.ask("osd tree")["nodes"]},
    }


def _osd(instance: Instance, osd: ceph_layout.Osd, known: dict[str, Any]) -> dict[str, Any]:
    seen = known["osds"].get(osd.number)
    return {
        "id": osd.number,
        "node": osd.node,
        "tier": known["tiers"].get(osd.number) if seen else osd.tier,
        "up": bool(seen["up"]) if seen else None,
        "in": bool(seen["in"]) if seen else None,
        "disk": "off" if ceph_files.switched_off(Node(instance, osd.node), osd) else "on",
    }


def table(data: dict[str, Any]) -> list[str]:
    """The report in lines."""
    quorum = ", ".join(entry["name"] for entry in data["monitors"] if entry["quorum"])
    managers = ", ".join(f"{entry['name']} {entry['state'] or '?'}" for entry in data["managers"])
    lines = [
        f"Storage {data['fsid']}: {data['health'] or data['why']}",
        f"{'':<12} monitors in quorum: {quorum or 'none'}; managers: {managers}",
    ]
    for osd in data["osds"]:
        state = "?" if osd["up"] is None else f"{'up' if osd['up'] else 'down'} {'in' if osd['in'] else 'out'}"
        switched = ", switched off" if osd["disk"] == "off" else ""
        lines.append(f"{'':<12} OSD {osd['id']:<3} {osd['node']:<12} {osd['tier'] or '-':<6} {state}{switched}")
    return lines
