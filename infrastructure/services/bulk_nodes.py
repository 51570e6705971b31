"""Doing one thing to many nodes. It is done at once: these change only what Mooring itself knows of a node."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.services import nodes as node_services
from infrastructure.services.bulk import ACTIONS, authorize_all
from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError
from infrastructure.services.node_input import clean_location
from panel.accounts.models import User


@dataclass(frozen=True, slots=True)
class Done:
    """The nodes that were changed, and why the others were not: (node, cause)."""

    changed: list[Node]
    refused: list[tuple[Node, str]]


def set_maintenance(*, user: User, nodes: Sequence[Node], enabled: bool, request: HttpRequest | None = None) -> Done:
    """Put the nodes into maintenance or take them out. Raises PermissionDenied when the right is lacking for any."""
    action = ACTIONS["enter_maintenance" if enabled else "leave_maintenance"]
    authorize_all(user=user, action=action, objects=nodes, request=request)
    done = Done([], [])
    for node in nodes:
        try:
            _refuse_maintenance(node, enabled)
            node_services.set_maintenance(user=user, node=node, enabled=enabled, request=request)
        except ServiceError as refusal:
            done.refused.append((node, str(refusal)))
        else:
            done.changed.append(node)
    return done


def maintenance_reason(node: Node, *, enabled: bool) -> str:
    """Why the node cannot enter (or leave) maintenance now; empty when it can."""
    if enabled and node.maintenance:
        return f"{node} is in maintenance already"
    if enabled and node.state == NodeState.NEW:
        return f"{node} is not set up yet"
    if not enabled and not node.maintenance:
        return f"{node} is not in maintenance"
    return ""


def _refuse_maintenance(node: Node, enabled: bool) -> None:
    if reason := maintenance_reason(node, enabled=enabled):
        raise NotPossible(reason)


def set_location(
    *, user: User, nodes: Sequence[Node], room: str, row: str, rack: str, request: HttpRequest | None = None
) -> Done:
    """Say where the nodes stand. Raises PermissionDenied, and InvalidInput before any is changed."""
    authorize_all(user=user, action=ACTIONS["location"], objects=nodes, request=request)
    for value, field in ((room, "room"), (row, "row"), (rack, "rack")):
        clean_location(value, field)
    if not nodes:
        raise InvalidInput("No node is left to do this with", advice="Select others.")
    for node in nodes:
        node_services.set_location(user=user, node=node, room=room, row=row, rack=rack, request=request)
    return Done(list(nodes), [])
