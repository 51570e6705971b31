"""Targets whose node does not answer: what they leave there, and what becomes of it when the node answers again.

Whoever goes on without a node says so expressly. The node's server is shut out of the images (Ceph refuses it from
then on), the target goes on elsewhere or is forgotten, and a row remembers what has to be taken off the node.
"""

import structlog

from infrastructure.models import Node, NodeInterfaces
from iscsi.drivers.base import TargetServers
from iscsi.models import IscsiRevision, LeftServer, Portal, Target
from iscsi.services.announcing import announce, delete

log = structlog.get_logger("mooring.iscsi")


def record(target: Target) -> None:
    """Remember what the target has on its node; call it in a transaction. May be repeated."""
    added = [each for each in target.portals.all() if each.added]
    addresses = [{"address": each.address, "prefix": each.prefix, "interface": each.interface} for each in added]
    LeftServer.objects.update_or_create(
        node=target.node, number=target.number, defaults={"target": target.name, "addresses": addresses}
    )
    IscsiRevision.bump()
    announce()


def forget(target: Target) -> None:
    """Nothing of the target need be taken off its node after all; call it in a transaction."""
    LeftServer.objects.filter(node=target.node, number=target.number).delete()
    IscsiRevision.bump()
    announce()


def numbers(node: Node) -> set[int]:
    """Numbers of servers that may still run on the node, though no target has them there."""
    return set(LeftServer.objects.filter(node=node).values_list("number", flat=True))


def clear(node: Node, servers: TargetServers) -> None:
    """Take off a node that answers what targets left there. Raises DriverError; what is left then is tried again."""
    for row in LeftServer.objects.filter(node=node):
        servers.stop(row.number)
        wanted = set(Portal.objects.filter(target__node=node).values_list("address", flat=True))
        for each in row.addresses:
            if each["address"] not in wanted:  # a target may have come back with it
                servers.remove_address(each["address"], each["prefix"], each["interface"])
        delete(row)
        log.info("what a target left was removed", node=node.name, target=row.target, number=row.number)


def addresses_of(node: Node) -> set[str]:
    """The IP addresses that are known of a node: by them Ceph's clients on it are told from others."""
    known = NodeInterfaces.objects.filter(node=node).first()
    rows = known.interfaces if known is not None else []
    found = {str(text).partition("/")[0] for row in rows for text in row.get("addresses") or ()}
    return found | {node.address}


def of_nodes() -> dict[int, list[str]]:
    """Node → names of the targets that left something there."""
    found: dict[int, list[str]] = {}
    for row in LeftServer.objects.all():
        found.setdefault(row.node_id, []).append(row.target)
    return found
