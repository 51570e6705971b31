"""The ASGI application of the console's route: who is let in, and to which node."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError

from infrastructure.choices import ConsoleKind
from infrastructure.consumers import screen, terminal
from infrastructure.consumers.streams import Stream
from infrastructure.consumers.visit import BUSY, NO_DISPLAY, NOT_RUNNING, RIGHT, TICKET, UNREACHABLE, Visit
from infrastructure.consumers.watch import watch
from infrastructure.drivers.base import Conflict, DriverError, NotFound, NotSupported
from infrastructure.drivers.ssh import AsyncSsh
from infrastructure.drivers.text_console import open_text
from infrastructure.models import VE
from infrastructure.services import console, console_sessions
from infrastructure.services.console import Location
from panel.accounts.models import User
from panel.live import origin
from panel.live.session import audit_refusal, request_of, session_key, user_of
from panel.live.threads import in_thread
from panel.live.wire import Closed, Gone, Receive, Send, Wire

log = structlog.get_logger("mooring.console")
TICKET_WAIT = 10.0
MOST_TICKET_BYTES = 1024

Locate = Callable[[VE, ConsoleKind], Awaitable[Location]]
ConnectScreen = Callable[[Location], Awaitable[Stream]]
_ssh: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncSsh] = WeakKeyDictionary()


async def locate(ve: VE, kind: ConsoleKind) -> Location:
    """Where the console is now, from the live XML of the node that runs the VE."""
    endpoints = await in_thread(console.candidates, ve)
    return await asyncio.to_thread(console.locate, ve.name, str(ve.uuid), endpoints, kind)


async def connect_screen(location: Location) -> Stream:
    """A stream to the display: its unix socket, or the node's own loopback."""
    ssh = _ssh.setdefault(asyncio.get_running_loop(), AsyncSsh())
    if location.display.socket:
        return await ssh.open_unix(location.endpoint, location.display.socket)
    return await ssh.open_tcp(location.endpoint, *console.address_of(location.display))


async def connect_text(location: Location, ve: VE, force: bool) -> Stream:
    """The VE's text console."""
    return await open_text(location.endpoint, console.engine(ve), str(ve.uuid), force=force)


class ConsoleSocket:
    """`locate` and the two `connect`s lead to the console; tests put their own in."""

    permission = console_sessions.PERMISSION

    def __init__(
        self,
        *,
        locate: Locate = locate,
        connect: ConnectScreen = connect_screen,
        connect_text: terminal.Connect = connect_text,
    ) -> None:
        self._locate, self._connect = locate, connect
        self._lines = terminal.Lines(connect_text)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        wire = Wire(receive, send)
        if not origin.allowed(scope):
            await in_thread(audit_refusal, scope, "ve.console.open", f"foreign origin {origin.header(scope)!r}"[:300])
            return await wire.refuse()
        await wire.accept("binary" if "binary" in scope.get("subprotocols", ()) else None)
        try:
            await self._serve(scope, wire)
        except Closed as closed:
            await wire.close(closed)
        except Gone:
            return None
        return None

    async def _serve(self, scope: dict[str, Any], wire: Wire) -> None:
        try:
            visit, wishes = await self._admit(scope, wire, session_key(scope))
            with _explained(visit):
                location = await self._locate(visit.ve, visit.kind)
                visit.node = location.node
                opened = await self._open(visit, location, wishes)
        except Closed as closed:
            # A close frame has room for 123 bytes only: the whole reason goes ahead of it.
            await wire.send_json({"type": "refused", "code": closed.code, "reason": closed.reason})
            raise
        reason = "the panel ended it"
        try:
            await self._record_opened(visit, forced=wishes.get("force") is True)
            await opened.greet(console.exposure(location.display))
            reason = await self._run(visit, opened)
        except (Closed, Gone) as end:
            reason = str(end) or "the browser stopped reading"
            raise
        finally:
            opened.close()
            await asyncio.shield(_record_closed(visit, reason))

    async def _open(
        self, visit: Visit, location: Location, wishes: dict[str, Any]
    ) -> "screen.Screen | terminal.Terminal":
        if visit.kind == ConsoleKind.SCREEN:
            return screen.Screen(visit, await self._connect(location))
        line = await self._lines.line_of(visit.ve, location, force=wishes.get("force") is True)
        return terminal.Terminal(visit, line, known=wishes.get("line"), offset=wishes.get("offset"))

    async def _admit(self, scope: dict[str, Any], wire: Wire, key: str) -> tuple[Visit, dict[str, Any]]:
        """Whom the ticket is for, and the rest of the message that brought it. Raises Closed."""
        user = await in_thread(user_of, key)
        if user is None:
            raise Closed(TICKET, "You are signed out. Sign in again.")
        try:
            async with asyncio.timeout(TICKET_WAIT):
                text = await wire.receive_text(MOST_TICKET_BYTES)
            wishes: dict[str, Any] = json.loads(text or "")
            token, ve_id = str(wishes["ticket"]), int(wishes["ve"])
            kind = ConsoleKind(wishes.get("kind", ConsoleKind.SCREEN))
        except (TimeoutError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise Closed(TICKET, "The console opens with a ticket only. Reload the page.") from error
        request = request_of(scope, user)
        ve = await in_thread(_redeem, token=token, user=user, session_key=key, ve_id=ve_id, kind=kind, request=request)
        return Visit(wire, user, ve, kind, key, request), wishes

    async def _record_opened(self, visit: Visit, *, forced: bool) -> None:
        visit.session = await in_thread(
            console_sessions.opened,
            user=visit.user,
            ve=visit.ve,
            kind=visit.kind,
            node=visit.node,
            request=visit.request,
            forced=forced,
        )

    async def _run(self, visit: Visit, opened: "screen.Screen | terminal.Terminal") -> str:
        """Pass bytes until one side ends or the right is gone; "" when the browser left, else raises Closed or Gone."""
        parts = [asyncio.create_task(part()) for part in opened.parts]
        with watch(visit) as revoked:
            try:
                done, _ = await asyncio.wait([*parts, revoked], return_when=asyncio.FIRST_COMPLETED)
                reason = next((task.exception() for task in done if task.exception()), None)
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.gather(*parts, return_exceptions=True)
        if isinstance(reason, (Closed, Gone)):
            raise reason
        if reason is not None:
            log.info("a console's stream broke", ve=visit.ve.name, node=visit.node, error=str(reason))
            raise Closed(UNREACHABLE, f"The connection to {visit.node} broke.") from reason
        return ""


def _redeem(*, token: str, user: User, session_key: str, ve_id: int, kind: ConsoleKind, request: Any) -> VE:
    try:
        return console.redeem(token=token, user=user, session_key=session_key, ve_id=ve_id, kind=kind, request=request)
    except console.TicketRefused as refused:
        raise Closed(TICKET, str(refused)) from refused
    except PermissionDenied as denied:
        raise Closed(RIGHT, str(denied)) from denied


async def _record_closed(visit: Visit, reason: str) -> None:
    if visit.session is None:
        return
    try:
        await in_thread(
            console_sessions.closed,
            session=visit.session,
            user=visit.user,
            reason=reason,
            to_guest=visit.to_guest,
            from_guest=visit.from_guest,
            request=visit.request,
        )
    except (DatabaseError, InterfaceError) as error:  # the row is closed by the next sweep of open consoles
        log.warning("the end of a console could not be recorded", ve=visit.ve.name, error=str(error))


@contextlib.contextmanager
def _explained(visit: Visit) -> Any:
    """Raise why there is no console, with the next step, as Closed."""
    try:
        yield
    except Conflict as error:
        if error.code == "console-busy":
            raise Closed(BUSY, str(error)) from error
        raise Closed(NOT_RUNNING, f"{visit.ve} is not running. Start it to open its console.") from error
    except NotFound as error:
        raise Closed(NOT_RUNNING, f"{visit.ve} is not running. Start it to open its console.") from error
    except NotSupported as error:
        raise Closed(NO_DISPLAY, str(error)) from error
    except DriverError as error:
        raise Closed(UNREACHABLE, str(error)) from error
