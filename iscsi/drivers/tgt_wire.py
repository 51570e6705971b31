"""Requests to the servers of a node, over unix sockets that SSH forwards; many at once over one connection."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from infrastructure.drivers.base import Endpoint, remaining, within
from infrastructure.drivers.errors import DriverError, NotFound, TimedOut, Unreachable
from infrastructure.drivers.ssh import AsyncSsh
from infrastructure.drivers.ssh_channel import Forwarded
from infrastructure.drivers.ssh_errors import translating
from infrastructure.drivers.ssh_sync import Ssh
from iscsi.drivers import protocol
from iscsi.drivers.protocol import ANSWER_HEAD, Request

ASK_SECONDS = 5.0
SOCKET = "/var/run/tgtd/socket.{number}"


@dataclass(frozen=True, slots=True)
class Answer:
    """tgtd's error number (0: it was done) and what it printed."""

    error: int
    text: str


class Wire:
    """The way to the servers of one node. Safe from any thread."""

    def __init__(self, ssh: Ssh, endpoint: Endpoint) -> None:
        self._ssh = ssh
        self._endpoint = endpoint

    def ask(self, number: int, request: Request, *, seconds: float = ASK_SECONDS) -> Answer:
        """Raises DriverError: Unreachable when no server answers there, TimedOut when it does not in time."""
        found = self.ask_all([(number, request)], seconds=seconds)[0]
        if isinstance(found, DriverError):
            raise found
        return found

    def ask_all(
        self, requests: Sequence[tuple[int, Request]], *, seconds: float = ASK_SECONDS
    ) -> list[Answer | DriverError]:
        """The answers in the order of the requests, an error in place of each that was not answered."""
        seconds = remaining(seconds)

        async def ask(ssh: AsyncSsh) -> list[Answer | DriverError]:
            with within(seconds):
                return await asyncio.gather(*(self._one(ssh, number, request, seconds) for number, request in requests))

        return self._ssh.submit(ask, seconds)

    async def _one(self, ssh: AsyncSsh, number: int, request: Request, seconds: float) -> Answer | DriverError:
        try:
            return await self._exchange(ssh, number, protocol.encode(request), seconds)
        except NotFound:
            return Unreachable(
                f"Target server {number} on {self._endpoint.name} does not run", code="not-running", component="tgt"
            )
        except DriverError as error:
            return error

    async def _exchange(self, ssh: AsyncSsh, number: int, data: bytes, seconds: float) -> Answer:
        end = asyncio.get_running_loop().time() + seconds
        stream = await ssh.open_unix(self._endpoint, SOCKET.format(number=number), deadline=seconds)
        try:
            async with asyncio.timeout_at(end):
                with translating(self._endpoint, f"answer for target server {number}", seconds):
                    stream.write(data)
                    error, rest = protocol.head_of(await self._read(stream, number, ANSWER_HEAD))
                    body = await self._read(stream, number, rest)
        except TimeoutError:
            raise self._silent(number, seconds) from None
        finally:
            stream.close()
        return Answer(error, body.rstrip(b"\0").decode(errors="replace"))

    async def _read(self, stream: Forwarded, number: int, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = await stream.read(count - len(data))
            if not chunk:
                raise Unreachable(
                    f"Target server {number} on {self._endpoint.name} ended while it was asked",
                    code="ended",
                    component="tgt",
                )
            data += chunk
        return bytes(data)

    def _silent(self, number: int, seconds: float) -> TimedOut:
        return TimedOut(
            f"Target server {number} on {self._endpoint.name} did not answer within {seconds:g} s",
            code="deadline",
            component="tgt",
            advice="It waits for Ceph, or the node is overloaded. Check the storage, then stop and start the target.",
        )
