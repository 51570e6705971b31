"""The state of a lab, as a table for people and as JSON for programs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from lab import ceph_status, ves
from lab.errors import LabError
from lab.instance import Instance
from lab.node import Node, nodes

SSH_PORT = 22


def report(instance: Instance) -> dict[str, Any]:
    """{"instance", "subnet", "nodes": [{"name", "address", "ssh_port", "power", "link", "pid", "host_uuid",
    "fingerprint", "libvirt", "ves": [{"name", "kind", "uuid", "state"}]}], "storage"}.

    "ves" is empty when libvirt is silent; "storage" is what ceph_status.report says.
    """
    if instance.subnet is None:
        return {"instance": instance.name, "subnet": None, "nodes": [], "storage": None}
    with ThreadPoolExecutor(4) as pool:
        asked = pool.submit(ceph_status.report, instance)
        lines = list(pool.map(_node, nodes(instance)))
        storage = asked.result()
    return {
        "instance": instance.name,
        "subnet": f"10.78.{instance.subnet}.0/24",
        "nodes": lines,
        "storage": storage,
    }


def _node(node: Node) -> dict[str, Any]:
    init = node.init
    listed, answers = [], False
    if init:
        try:
            listed, answers = ves.listing(node), True
        except LabError:
            answers = False
    return {
        "name": node.name,
        "address": node.address,
        "ssh_port": SSH_PORT,
        "power": "on" if init else "off",
        "link": "down" if node.name in node.instance.cut else "up",
        "pid": init.pid if init else None,
        "host_uuid": str(node.instance.uuid_of(f"node:{node.name}")),
        "fingerprint": node.host_key_fingerprint() if node.root.exists() else None,
        "libvirt": "answers" if answers else "silent",
        "ves": [asdict(ve) for ve in listed],
    }


def table(data: dict[str, Any]) -> str:
    """The report in columns."""
    if not data["nodes"]:
        return f"The lab “{data['instance']}” was never up.\n"
    lines = [f"Lab {data['instance']}, {data['subnet']}", ""]
    for node in data["nodes"]:
        power = f"on, process {node['pid']}" if node["power"] == "on" else "off"
        lines.append(
            f"{node['name']:<12} {node['address']:<14} power {power}; link {node['link']}; libvirt {node['libvirt']}"
        )
        lines.append(f"{'':<12} SSH port {node['ssh_port']}, {node['fingerprint']}")
        lines += [f"{'':<12} {ve['kind'].upper()}  {ve['name']:<14} {ve['state']}" for ve in node["ves"]]
        lines.append("")
    if data["storage"]:
        lines += [*ceph_status.table(data["storage"]), ""]
    return "\n".join(lines)
