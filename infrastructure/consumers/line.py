"""A text console that several browsers share: one stream to the node, its latest output, and who has seen how much.

A serial port or container console is one device: libvirt gives it to one reader. So the first browser opens it, later
ones join, and each has its own place in the output (docs/adr/0005).
"""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

import structlog

from infrastructure.consumers.streams import Stream
from infrastructure.models import VE
from infrastructure.services.console import Location

log = structlog.get_logger("mooring.console")
CHUNK = 64 << 10
RING = 256 << 10  # bytes of output kept: what a browser may lag behind
REPLAY = 64 << 10  # bytes shown to a browser that joins
LEAD = 64 << 10  # the node is read while some browser is no further behind than this …
PATIENCE = 0.25  # … or after so many seconds: a guest must not stand still because nobody looks
LINGER = 5.0  # seconds that a line without a browser stays open: a page that is reloaded finds it again


Connect = Callable[[Location, VE, bool], Awaitable[Stream]]


class Ring:
    """The latest output; places in it are counted from the line's first byte."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self.start = self.end = 0

    def add(self, data: bytes) -> None:
        self._chunks.append(data)
        self.end += len(data)
        while self.end - self.start - len(self._chunks[0]) >= RING:
            self.start += len(self._chunks.popleft())

    def read(self, place: int, most: int) -> bytes:
        """Output from a place on, which must lie in the ring: whole chunks where they fit."""
        at, found, size = self.start, [], 0
        for chunk in self._chunks:
            if at + len(chunk) > place:
                part = chunk[max(0, place - at) :][: most - size]
                found.append(part)
                size += len(part)
                if size == most:
                    break
            at += len(chunk)
        return b"".join(found)


class Member:
    """One browser at a line."""

    def __init__(self, place: int, tell: Callable[[bool], None]) -> None:
        self.place = place  # what it was sent up to
        self.news = asyncio.Event()
        self.tell = tell  # whether this browser's terminal is the one that answers the guest's questions


class Line:
    """An open text console."""

    def __init__(self, stream: Stream, node: str) -> None:
        self.id = secrets.token_hex(8)
        self.node, self.ring, self.ended = node, Ring(), False
        self.members: list[Member] = []
        self.speaker: Member | None = None
        self._stream = stream
        self._taken = asyncio.Event()
        self._typing = asyncio.Lock()
        self._closing: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(LINGER, self.close)
        self._task = asyncio.create_task(self._read())

    def join(self, place: int, tell: Callable[[bool], None]) -> Member:
        """Let a browser in; it answers the guest if nobody else does."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        member = Member(place, tell)
        self.members.append(member)
        self.speaker = self.speaker or member
        return member

    def leave(self, member: Member) -> None:
        self.members.remove(member)
        if self.speaker is member:
            self.speaker = None
            if self.members:
                self._let_speak(self.members[-1])
        if not self.members:
            self._closing = asyncio.get_running_loop().call_later(LINGER, self.close)
        self._taken.set()

    async def type(self, member: Member, data: bytes) -> None:
        """Send what a browser typed; returns when the guest takes more. OSError when the line ended."""
        async with self._typing:
            if self.speaker is not member:
                self._let_speak(member)
            self._stream.write(data)
            await self._stream.drain()

    def took(self) -> None:
        """A browser has moved on."""
        self._taken.set()

    def close(self) -> None:
        """Let the device go."""
        self.ended = True
        self._stream.close()
        self._task.cancel()
        for member in self.members:
            member.news.set()

    def _let_speak(self, member: Member) -> None:
        if self.speaker is not None:
            self.speaker.tell(False)
        self.speaker = member
        member.tell(True)

    async def _read(self) -> None:
        try:
            while data := await self._stream.read(CHUNK):
                self.ring.add(data)
                for member in self.members:
                    member.news.set()
                if not self._led():
                    await self._be_led()
        except OSError as error:
            log.info("a text console broke", node=self.node, error=str(error))
        finally:
            self.close()

    def _led(self) -> bool:
        """Whether some browser keeps up; nobody needs to when nobody is there."""
        return not self.members or any(self.ring.end - member.place <= LEAD for member in self.members)

    async def _be_led(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self._led():
                    self._taken.clear()
                    await self._taken.wait()


class Lines:
    """The open lines of a web process by VE."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lines: dict[int, Line] = {}
        self._opening: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def line_of(self, ve: VE, location: Location, *, force: bool) -> Line:
        """The VE's open line, or a new one. Raises DriverError."""
        for pk in [pk for pk, line in self._lines.items() if line.ended]:
            del self._lines[pk]
        async with self._opening.setdefault(ve.pk, asyncio.Lock()):
            line = self._lines.get(ve.pk)
            if line is not None and not line.ended and line.node != location.node:
                line.close()  # the VE has moved
            if line is None or line.ended:
                line = self._lines[ve.pk] = Line(await self._connect(location, ve, force), location.node)
            return line
