"""A console page, as the tests of the console's websocket see it."""

import asyncio
import json
from typing import Any

from asgiref.sync import sync_to_async

from infrastructure.choices import ConsoleKind
from infrastructure.consumers import ConsoleSocket
from infrastructure.models import VE
from infrastructure.services.console import issue_ticket
from panel.accounts.models import User
from tests.panel.live_helpers import Browser, session_of


class Joined:
    """A reader and a writer as one stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: Any) -> None:
        self.read, self.write, self.drain, self.close = reader.read, writer.write, writer.drain, writer.close


class Page(Browser):
    """A console page of a signed-in user."""

    @classmethod
    async def open(cls, application: ConsoleSocket, user: User, **kwargs: Any) -> "Page":
        session = await sync_to_async(session_of)(user)
        page = cls(session.session_key, path="/console/", application=application, **kwargs)
        page.session = session
        assert await page.connect()
        return page

    async def show_ticket(self, user: User, ve: VE, kind: ConsoleKind = ConsoleKind.SCREEN, **wishes: Any) -> None:
        key = self.session.session_key
        token = await sync_to_async(issue_ticket)(user=user, session_key=key, ve=ve, kind=kind)
        self.say_json({"ticket": token, "ve": ve.pk, "kind": kind.value} | wishes)

    async def answer(self) -> dict[str, Any]:
        return dict(json.loads((await self.raw())["text"]))

    async def note(self, kind: str) -> dict[str, Any]:
        """The next text message of a type; bytes before it are dropped."""
        while True:
            message = await self.raw()
            if message.get("text") and (note := json.loads(message["text"]))["type"] == kind:
                return dict(note)

    async def picture(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            message = await self.raw()
            assert message["type"] == "websocket.send", message
            data += message.get("bytes") or b""
        return data
