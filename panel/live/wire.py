"""The ASGI side of a websocket, shared by the live socket and the console."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger("mooring.live")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
STALL_SECONDS = 15.0  # a browser that takes nothing for so long is dropped


class Closed(Exception):
    """The server ends the socket; code and reason reach the browser."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Gone(Exception):
    """The browser left while something was being sent to it."""


class Stalled(Gone):
    """The browser stopped reading and was dropped."""


class Wire:
    """Sends one message at a time and waits until the server has room for the next: that is the back-pressure."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._turn = asyncio.Lock()

    @property
    def sending(self) -> bool:
        return self._turn.locked()

    async def accept(self, subprotocol: str | None = None) -> None:
        await self._receive()  # websocket.connect
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self) -> None:
        """Answer the handshake with 403."""
        await self._receive()
        await self._send({"type": "websocket.close", "code": 4403})

    async def close(self, closed: Closed) -> None:
        """Say goodbye with code and reason (at most 123 bytes, as RFC 6455 has it)."""
        reason = closed.reason.encode()[:123].decode(errors="ignore")
        await self._bounded({"type": "websocket.close", "code": closed.code, "reason": reason})

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None when the browser left."""
        message = await self._receive()
        return None if message["type"] == "websocket.disconnect" else message

    async def receive_text(self, most: int) -> str | None:
        """The next text; None when the browser left. Raises Closed for anything else or more than `most` bytes."""
        message = await self.receive()
        if message is None:
            return None
        text = message.get("text")
        if text is None or len(text.encode()) > most:
            raise Closed(4400, "The message cannot be read.")
        return str(text)

    async def send_json(self, message: dict[str, Any]) -> None:
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        await self._bounded({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._bounded({"type": "websocket.send", "bytes": data})

    async def _bounded(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(STALL_SECONDS), self._turn:
                await self._send(message)
        except TimeoutError as error:
            log.info("a browser stopped reading and was dropped")
            self._abort()
            raise Stalled from error
        except OSError as error:  # what uvicorn raises
            raise Gone from error

    def _abort(self) -> None:
        """Cut the connection: a polite close would wait for the browser that no longer reads.

        ASGI has no word for it, so the server's own transport is used where `send` is bound to it (uvicorn).
        """
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()
