"""Browsers for the tests of websockets."""

import asyncio
import json
import time
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase

from panel.accounts.models import User
from panel.routing import websocket

ORIGIN = settings.ALLOWED_ORIGINS[0]


def session_of(user: User) -> SessionBase:
    """A signed-in session, as the login makes it."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session


class Browser:
    """A page's websocket: the panel's ASGI application and what it sends."""

    def __init__(
        self,
        session_key: str = "",
        origin: str | None = ORIGIN,
        path: str = "/live/",
        subprotocols: tuple[str, ...] = (),
        application: Any = websocket,
    ) -> None:
        pairs = [(b"origin", origin.encode())] if origin is not None else []
        if session_key:
            pairs.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session_key}".encode()))
        self.scope = {
            "type": "websocket",
            "path": path,
            "headers": pairs,
            "client": ["192.0.2.7", 50000],
            "subprotocols": list(subprotocols),
        }
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_send: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._application = application
        self.task: asyncio.Task[None] | None = None

    async def connect(self) -> bool:
        """Whether the handshake was accepted."""
        self._to_send.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._application(self.scope, self._to_send.get, self.sent.put))
        answer = await asyncio.wait_for(self.sent.get(), 30)
        self.subprotocol = answer.get("subprotocol")
        return bool(answer["type"] == "websocket.accept")

    async def disconnect(self) -> None:
        self._to_send.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert self.task is not None
        await asyncio.wait_for(self.task, 30)

    def say(self, text: str) -> None:
        self._to_send.put_nowait({"type": "websocket.receive", "text": text})

    def say_json(self, message: dict[str, Any]) -> None:
        self.say(json.dumps(message))

    def say_bytes(self, data: bytes) -> None:
        self._to_send.put_nowait({"type": "websocket.receive", "bytes": data})

    def subscribe(self, topic: str, after: int = 0) -> None:
        self.say_json({"type": "subscribe", "topic": topic, "after": after})

    async def raw(self, timeout: float = 30) -> dict[str, Any]:
        return await asyncio.wait_for(self.sent.get(), timeout)

    async def news(self, timeout: float = 30) -> dict[str, Any]:
        """The next message that is no beat."""
        while True:
            sent = await self.raw(timeout)
            assert sent["type"] == "websocket.send", sent
            message = json.loads(sent["text"])
            if message["type"] != "beat":
                return dict(message)

    async def is_silent(self, seconds: float = 0.4) -> bool:
        """Whether nothing but beats arrives for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                await self.news(left)
            except TimeoutError:
                return True
            return False
        return True

    async def closed(self, timeout: float = 30) -> dict[str, Any]:
        """The closing message."""
        while True:
            message = await self.raw(timeout)
            if message["type"] == "websocket.close":
                return message
