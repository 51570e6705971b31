"""The console's websocket: bytes between a browser and the VNC server of a VM, through SSH to its node.

The browser's first message is its ticket, {"ticket": …, "ve": 7}; it is never in a URL. The server answers with
{"type": "ready", "node", "warning"} and then passes RFB both ways, or with {"type": "refused", "code", "reason"}.
Nothing is buffered here beyond one read: a browser that stops reading stops the reads from the node, whose flow control
holds back QEMU, and is dropped after 15 s.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import structlog
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.base import Conflict, DriverError, NotFound, NotSupported
from infrastructure.drivers.ssh import AsyncSsh
from infrastructure.models import VE
from infrastructure.services import console
from infrastructure.services.console import Location
from panel.accounts.models import User
from panel.live import origin
from panel.live.session import audit_refusal, request_of, session_key, user_of
from panel.live.threads import in_thread
from panel.live.wire import Closed, Gone, Receive, Send, Wire

log = structlog.get_logger("mooring.console")
CHUNK = 64 << 10
CHECK_SECONDS = 4.5  # between two checks of session and right: an open console ends ≤ 5 s after either is gone
TICKET_WAIT = 10.0
MOST_TICKET_BYTES = 1024
MOST_INPUT_BYTES = 256 << 10  # of one message; noVNC sends a few bytes per key, clipboard text at most

TICKET, RIGHT, NOT_RUNNING, NO_DISPLAY, ENDED, UNREACHABLE = 4401, 4403, 4404, 4405, 4410, 4503


class Reader(Protocol):
    async def read(self, n: int = -1) -> bytes: ...


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def close(self) -> None: ...


Locate = Callable[[VE], Awaitable[Location]]
Connect = Callable[[Location], Awaitable[tuple[Reader, Writer]]]
_ssh: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncSsh] = WeakKeyDictionary()


async def locate(ve: VE) -> Location:
    """Where the display is now, from the live XML of the node that runs the VE."""
    endpoints = await in_thread(console.candidates, ve)
    return await asyncio.to_thread(console.locate, ve.name, str(ve.uuid), endpoints)


async def connect(location: Location) -> tuple[Reader, Writer]:
    """A stream to the display: its unix socket, or the node's own loopback."""
    ssh = _ssh.setdefault(asyncio.get_running_loop(), AsyncSsh())
    if location.display.socket:
        return await ssh.open_unix(location.endpoint, location.display.socket)
    return await ssh.open_tcp(location.endpoint, *console.address_of(location.display))


class ConsoleSocket:
    """The ASGI application of the route. `locate` and `connect` lead to the display; tests put their own in."""

    permission = console.PERMISSION

    def __init__(self, *, locate: Locate = locate, connect: Connect = connect) -> None:
        self._locate, self._connect = locate, connect

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
        key = session_key(scope)
        try:
            user, ve = await self._admit(scope, wire, key)
            location, reader, writer = await self._reach(ve)
        except Closed as closed:
            # A close frame has room for 123 bytes only: the whole reason goes ahead of it.
            await wire.send_json({"type": "refused", "code": closed.code, "reason": closed.reason})
            raise
        try:
            request = request_of(scope, user)
            await in_thread(console.opened, user=user, ve=ve, node=location.node, request=request)
            warning = console.exposure(location.display)
            await wire.send_json({"type": "ready", "node": location.node, "warning": warning})
            await _pump(wire, reader, writer, ve, location, key)
        finally:
            writer.close()

    async def _admit(self, scope: dict[str, Any], wire: Wire, key: str) -> tuple[User, VE]:
        """The user and the VE that the ticket is for. Raises Closed."""
        user = await in_thread(user_of, key)
        if user is None:
            raise Closed(TICKET, "You are signed out. Sign in again.")
        try:
            async with asyncio.timeout(TICKET_WAIT):
                text = await wire.receive_text(MOST_TICKET_BYTES)
            message = json.loads(text or "")
            token, ve_id = str(message["ticket"]), int(message["ve"])
        except (TimeoutError, ValueError, KeyError, TypeError) as error:
            raise Closed(TICKET, "The console opens with a ticket only. Reload the page.") from error
        try:
            request = request_of(scope, user)
            ve = await in_thread(console.redeem, token=token, user=user, session_key=key, ve_id=ve_id, request=request)
        except console.TicketRefused as refused:
            raise Closed(TICKET, str(refused)) from refused
        except PermissionDenied as denied:
            raise Closed(RIGHT, str(denied)) from denied
        return user, ve

    async def _reach(self, ve: VE) -> tuple[Location, Reader, Writer]:
        """The display and a stream to it. Raises Closed with the cause and the next step."""
        try:
            location = await self._locate(ve)
            return location, *(await self._connect(location))
        except (Conflict, NotFound) as error:
            raise Closed(NOT_RUNNING, f"{ve} is not running. Start it to open its console.") from error
        except NotSupported as error:
            raise Closed(NO_DISPLAY, str(error)) from error
        except DriverError as error:
            raise Closed(UNREACHABLE, str(error)) from error


async def _pump(wire: Wire, reader: Reader, writer: Writer, ve: VE, location: Location, key: str) -> None:
    """Pass bytes both ways until one side ends or the right is gone. Raises Closed unless the browser left."""

    async def down() -> None:
        while data := await reader.read(CHUNK):
            await wire.send_bytes(data)
        raise Closed(ENDED, f"The display of {ve} on {location.node} ended.")

    async def up() -> None:
        while (message := await wire.receive()) is not None:
            data = message.get("bytes")
            if data is None or len(data) > MOST_INPUT_BYTES:
                raise Closed(4400, "The message is not of a console.")
            writer.write(data)
            await writer.drain()

    async def watch() -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if not await in_thread(lambda: console.may_stay(user_of(key), ve.pk)):
                raise Closed(RIGHT, f"You may no longer use the console of {ve}.")

    tasks = [asyncio.create_task(part()) for part in (down, up, watch)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        reason = next((task.exception() for task in done if task.exception()), None)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(reason, (Closed, Gone)):
        raise reason
    if reason is not None:
        log.info("a console's stream broke", ve=ve.name, node=location.node, error=str(reason))
        raise Closed(UNREACHABLE, f"The connection to {location.node} broke.") from reason
