"""The two ends of a socket that SSH forwards: as asyncssh's own stream classes, at less cost for each packet.

What has come is handed over as it is and at once; reading from the node pauses while nobody takes it.
"""

import asyncio
from collections import deque

import asyncssh
from asyncssh.channel import SSHChannel

# Read ahead of whoever reads.  asyncssh holds another window (2 MiB) of what was under way already.
AHEAD = 256 << 10


class Forwarded(asyncssh.SSHTCPSession[bytes], asyncssh.SSHUNIXSession[bytes]):
    """One forwarded socket."""

    def __init__(self) -> None:
        self._channel: SSHChannel[bytes] | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0  # bytes in them
        self._paused = False
        self._over = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    # What asyncssh calls

    def connection_made(self, chan: "SSHChannel[bytes]") -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._chunks.append(data)
        self._held += len(data)
        if self._held >= AHEAD and not self._paused:
            self._paused = True
            self._open.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._over = True
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._over, self._error = True, exc
        self._room.set()
        self._wake()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    # What whoever uses the socket calls

    async def read(self, n: int = -1) -> bytes:
        """Up to ``n`` bytes as they came, whatever there is without ``n``; b"" at the end.  One reader at a time."""
        while not self._chunks:
            if self._over:
                if self._error is not None:
                    raise self._error
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = self._take(n if n > 0 else self._held)
        self._held -= len(data)
        if self._paused and self._held < AHEAD // 2:
            self._paused = False
            self._open.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        self._open.write(data)

    async def drain(self) -> None:
        """Wait until the node takes more; OSError or the connection's error when it is gone."""
        await self._room.wait()
        if self._over and self._error is not None:
            raise self._error

    def close(self) -> None:
        self._open.close()

    def _take(self, n: int) -> bytes:
        taken: list[bytes] = []
        while n > 0 and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > n:
                self._chunks.appendleft(chunk[n:])
                chunk = chunk[:n]
            taken.append(chunk)
            n -= len(chunk)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    @property
    def _open(self) -> "SSHChannel[bytes]":
        if self._channel is None:
            raise RuntimeError("the socket is not open yet")
        return self._channel
