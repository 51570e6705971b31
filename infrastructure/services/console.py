"""Opening a console: the ticket that lets one browser in once, and where the display or text console is now."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from infrastructure.choices import ConsoleKind, Kind, VEState
from infrastructure.drivers import base as drivers
from infrastructure.drivers.base import ConsoleEndpoint, DriverError, Endpoint, HostDriver
from infrastructure.drivers.registry import driver_for
from infrastructure.models import VE, ConsoleTicket, Node
from infrastructure.services.access import authorize
from infrastructure.services.console_sessions import PERMISSION
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.errors import ServiceError
from panel.accounts.models import User
from panel.audit.services import record

TICKET_SECONDS = 30
TOKEN_BYTES = 32
ASK_SECONDS = 4.0  # a person waits
# Whose answer is likelier: the node that shows the VE running, then one that shows it waiting.
_ORDER = {VEState.RUNNING: 0, VEState.STOPPING: 0, VEState.PAUSED: 1}
_LIVE = (drivers.VEState.RUNNING, drivers.VEState.SHUTTING_DOWN, drivers.VEState.SUSPENDED)


class TicketRefused(ServiceError):
    """The token opens nothing: unknown, used, too old, or of another user, session, VE or kind of console."""


@dataclass(frozen=True, slots=True)
class Location:
    """A console: the node that runs the VE now, and where its display listens there."""

    node: str
    endpoint: Endpoint
    display: ConsoleEndpoint


def issue_ticket(
    *,
    user: User,
    session_key: str,
    ve: VE,
    kind: ConsoleKind = ConsoleKind.SCREEN,
    request: HttpRequest | None = None,
) -> str:
    """A new token of 256 bits for one console; its SHA-256 is stored. Raises PermissionDenied."""
    authorize(user=user, permission=PERMISSION, action="ve.console.ticket", obj=ve, request=request)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = timezone.now()
    ConsoleTicket.objects.filter(expires_at__lt=now - timedelta(hours=1)).delete()
    ConsoleTicket.objects.create(
        digest=_digest(token),
        user=user,
        session_key=session_key,
        ve=ve,
        kind=kind,
        expires_at=now + timedelta(seconds=TICKET_SECONDS),
    )
    record(action="ve.console.ticket", actor=user, request=request, target=ve, detail=kind.value)
    return token


def redeem(
    *,
    token: str,
    user: User,
    session_key: str,
    ve_id: int | None = None,
    kind: ConsoleKind = ConsoleKind.SCREEN,
    request: HttpRequest | None = None,
) -> VE:
    """The VE whose console the token opens; it never opens another one again.

    Raises TicketRefused, or PermissionDenied when the right went since the ticket was issued.
    """
    now = timezone.now()
    tickets = ConsoleTicket.objects.filter(
        digest=_digest(token), user=user, session_key=session_key, kind=kind, used_at=None, expires_at__gt=now
    )
    if ve_id is not None:
        tickets = tickets.filter(ve_id=ve_id)
    if not session_key or tickets.update(used_at=now) != 1:
        refusal = TicketRefused("The ticket of the console is not valid", advice="Reconnect to get a new one.")
        record(action="ve.console.open", actor=user, request=request, result="refused", detail=str(refusal))
        raise refusal
    ve = ConsoleTicket.objects.select_related("ve__node").get(digest=_digest(token)).ve
    authorize(user=user, permission=PERMISSION, action="ve.console.open", obj=ve, request=request)
    return ve


def candidates(ve: VE) -> tuple[Endpoint, ...]:
    """The nodes that may run the VE, the likeliest first; more than one while it migrates. From the database."""
    seen = ve.placements.select_related("node")
    placements = sorted(seen, key=lambda each: (_ORDER.get(VEState(each.state), 2), each.node_id != ve.node_id))
    nodes: dict[int, Node] = {placement.node_id: placement.node for placement in placements}
    if ve.node is not None:
        nodes.setdefault(ve.node.pk, ve.node)
    return tuple(endpoint_for(node) for node in nodes.values())


def default_kind(ve: VE) -> ConsoleKind:
    """What its page shows first: the screen of a VM that has one."""
    return ConsoleKind.SCREEN if ve.kind == Kind.VM and ve.graphics is not None else ConsoleKind.TEXT


def engine(ve: VE) -> drivers.VEKind:
    """Which of a node's hypervisors runs it."""
    return drivers.VEKind(ve.kind)


def locate(name: str, uuid: str, endpoints: Iterable[Endpoint], kind: ConsoleKind = ConsoleKind.SCREEN) -> Location:
    """Ask the nodes where the VE's display or text console is now; one that runs it wins over one where it waits.

    Blocks, without the database. Raises the DriverError of the likeliest node when none has it.
    """
    failure: DriverError | None = None
    waiting: Location | None = None
    with drivers.within(ASK_SECONDS):
        for endpoint in endpoints:
            node: HostDriver = driver_for(endpoint)
            try:
                found = node.console(uuid) if kind == ConsoleKind.SCREEN else node.text_console(uuid)
                location = Location(endpoint.name, endpoint, found)
                if node.state(uuid).state in _LIVE:
                    return location
                waiting = waiting or location
            except DriverError as error:
                failure = failure or error
    if waiting is not None:
        return waiting
    raise failure or drivers.NotFound(
        f"No node has {name}", code="no-node", advice="It reappears here when a node shows it again."
    )


def address_of(display: ConsoleEndpoint) -> tuple[str, int]:
    """Host and port as the node itself reaches a display that has no socket: its loopback wherever it listens there."""
    loopback = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104
    return loopback.get(display.host, display.host), display.port


def exposure(display: ConsoleEndpoint) -> str:
    """A warning when the display can be reached without the panel, else ""."""
    if not display.exposed:
        return ""
    return (
        f"Its VNC server also listens on the network ({display.host}:{display.port}): whoever reaches the node may "
        "open it. Set its listen type to a socket and restart the VE."
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
