"""A VM's screen: RFB between its browser and the VNC server, through SSH to its node.

Nothing is buffered here beyond one read: a browser that stops reading stops the reads from the node, whose flow control
holds back QEMU, and is dropped after 15 s.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from infrastructure.consumers.streams import Stream
from infrastructure.consumers.visit import ENDED, UNREADABLE, Visit
from panel.live.wire import Closed

CHUNK = 64 << 10


class Screen:
    """One browser's stream to the display; QEMU gives each its own."""

    def __init__(self, visit: Visit, stream: Stream) -> None:
        self._visit, self._stream = visit, stream

    @property
    def parts(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        return self._down, self._up

    async def greet(self, warning: str) -> None:
        """The last text message before RFB begins."""
        visit = self._visit
        await visit.wire.send_json(
            {"type": "ready", "session": visit.session_id, "node": visit.node, "warning": warning}
        )

    def close(self) -> None:
        self._stream.close()

    async def _down(self) -> None:
        visit, read, send = self._visit, self._stream.read, self._visit.wire.send_bytes
        while data := await read(CHUNK):
            visit.from_guest += len(data)
            await send(data)
        raise Closed(ENDED, f"The display of {visit.ve} on {visit.node} ended.")

    async def _up(self) -> None:
        visit, stream = self._visit, self._stream
        while (data := await visit.receive()) is not None:
            if isinstance(data, dict):
                raise UNREADABLE
            visit.to_guest += len(data)
            stream.write(data)
            await stream.drain()
