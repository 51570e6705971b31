"""One browser at a text console.

Output is sent as far as the terminal says it has shown (``ack``): neither the browser's memory nor ours fills. What a
browser is too slow for is left out and counted, so that it neither holds up the guest nor the other browsers.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from infrastructure.consumers.line import CHUNK, REPLAY, Connect, Line, Lines
from infrastructure.consumers.visit import ENDED, UNREACHABLE, UNREADABLE, Visit
from panel.live.wire import Closed

__all__ = ["Connect", "Lines", "Terminal"]
UNSHOWN = 256 << 10  # bytes sent that the terminal has not shown yet


class Terminal:
    """A browser's place at a line. `known` and `offset` are the line and place it had before it lost the connection."""

    def __init__(self, visit: Visit, line: Line, *, known: Any = None, offset: Any = None) -> None:
        self._visit, self._line = visit, line
        self._sent = self._shown = 0
        self._room = asyncio.Event()
        self._answers: asyncio.Queue[bool] = asyncio.Queue()
        ring = line.ring
        place = max(ring.start, ring.end - REPLAY)
        if known == line.id and isinstance(offset, int) and ring.start <= offset <= ring.end:
            place = offset
        self._member = line.join(place, self._answers.put_nowait)

    @property
    def parts(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        return self._down, self._up, self._tell

    async def greet(self, warning: str) -> None:
        visit, line, member = self._visit, self._line, self._member
        await visit.wire.send_json(
            {
                "type": "ready",
                "session": visit.session_id,
                "node": visit.node,
                "warning": warning,
                "line": line.id,
                "offset": member.place,
                "replay": line.ring.end - member.place,  # bytes that come first and were answered long ago
                "answers": line.speaker is member,
            }
        )

    def close(self) -> None:
        self._line.leave(self._member)

    async def _down(self) -> None:
        visit, line, member = self._visit, self._line, self._member
        while True:
            while member.place == line.ring.end:
                if line.ended:
                    raise Closed(ENDED, f"The console of {visit.ve} on {line.node} ended.")
                member.news.clear()
                await member.news.wait()
            while self._sent - self._shown >= UNSHOWN:
                self._room.clear()
                await self._room.wait()
            await self._send_next()

    async def _send_next(self) -> None:
        line, member, wire = self._line, self._member, self._visit.wire
        skipped = line.ring.start - member.place
        if skipped > 0:
            member.place = line.ring.start
            await wire.send_json({"type": "skipped", "bytes": skipped})
        data = line.ring.read(member.place, CHUNK)
        member.place += len(data)
        self._sent += len(data)
        self._visit.from_guest += len(data)
        line.took()
        await wire.send_bytes(data)

    async def _up(self) -> None:
        visit, line = self._visit, self._line
        while (message := await visit.receive()) is not None:
            if isinstance(message, dict):
                self._note(message)
                continue
            visit.to_guest += len(message)
            try:
                await line.type(self._member, message)
            except OSError as error:
                raise Closed(UNREACHABLE, f"The connection to {line.node} broke.") from error

    def _note(self, note: dict[str, Any]) -> None:
        shown = note.get("bytes")
        if note["type"] != "ack" or not isinstance(shown, int) or not self._shown <= shown <= self._sent:
            raise UNREADABLE
        self._shown = shown
        self._room.set()

    async def _tell(self) -> None:
        while True:
            await self._visit.wire.send_json({"type": "answers", "you": await self._answers.get()})
