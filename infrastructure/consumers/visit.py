"""One open console of one browser, and the text messages that go beside its bytes."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from infrastructure.choices import ConsoleKind
from infrastructure.models import VE, ConsoleSession
from infrastructure.services import console_sessions
from panel.accounts.models import User
from panel.live.threads import in_thread
from panel.live.wire import Closed, Wire

TICKET, RIGHT, NOT_RUNNING, NO_DISPLAY, BUSY, ENDED, UNREACHABLE = 4401, 4403, 4404, 4405, 4409, 4410, 4503
MOST_INPUT_BYTES = 256 << 10  # of one message; a key is a few bytes, clipboard text at most
MOST_NOTE_BYTES = 1024
UNREADABLE = Closed(4400, "The message is not of a console.")


@dataclass(slots=True)
class Visit:
    """A console from its admission to its end."""

    wire: Wire
    user: User
    ve: VE
    kind: ConsoleKind
    session_key: str
    request: HttpRequest
    node: str = ""
    session: ConsoleSession | None = None
    to_guest: int = 0  # bytes
    from_guest: int = 0

    @property
    def session_id(self) -> int:
        """Of its row; 0 before it is open."""
        return self.session.pk if self.session is not None else 0

    async def receive(self) -> bytes | dict[str, Any] | None:
        """Bytes for the guest, a note that its kind of console must act on, or None when the browser left.

        What every console does alike is done here: pings are answered, and what buttons send is audited, before any
        byte that comes after. Raises Closed for what is no console's message.
        """
        while (message := await self.wire.receive()) is not None:
            data = message.get("bytes")
            if data is not None:
                if len(data) > MOST_INPUT_BYTES:
                    raise UNREADABLE
                return bytes(data)
            note = _note(message.get("text") or "")
            if note["type"] == "ping":
                await self.wire.send_json({"type": "pong", "n": note.get("n")})
            elif note["type"] == "sent":
                await self._audit(note)
            else:
                return note
        return None

    async def _audit(self, note: dict[str, Any]) -> None:
        try:
            await in_thread(console_sessions.sent, user=self.user, ve=self.ve, note=note, request=self.request)
        except console_sessions.BadNote as error:
            raise UNREADABLE from error


def _note(text: str) -> dict[str, Any]:
    if len(text) > MOST_NOTE_BYTES:
        raise UNREADABLE
    try:
        note = json.loads(text)
    except ValueError as error:
        raise UNREADABLE from error
    if not isinstance(note, dict) or not isinstance(note.get("type"), str):
        raise UNREADABLE
    return note
