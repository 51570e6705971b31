"""What a command on one node writes, fed to a command on another, through the panel: node and node need no trust."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncssh

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import DriverError, TimedOut
from infrastructure.drivers.ssh import AsyncSsh
from infrastructure.drivers.ssh_errors import translating
from infrastructure.drivers.ssh_sync import Ssh

CHUNK = 256 << 10
WATCH_SECONDS = 0.25
STALL_SECONDS = 25.0  # without a byte moved, a node is taken for stuck
END_SECONDS = 120.0  # for both commands to end after the last byte: the target writes out what it has
_SAID = 2000  # how much of a command's complaint is kept, bytes
Process = asyncssh.SSHClientProcess[bytes]


@dataclass(frozen=True, slots=True)
class End:
    """One end of the pipe: a command on a node."""

    endpoint: Endpoint
    argv: tuple[str, ...]


def pipe(
    ssh: Ssh, source: End, target: End, *, bytes_per_second: int = 0, on_bytes: Callable[[int], None] | None = None
) -> int:
    """Run both commands joined and return how many bytes went through; blocks until both have ended well.

    ``on_bytes(total)`` is called about four times a second in this thread; what it raises ends both and is raised.
    Raises DriverError when a command fails, and TimedOut after 25 s in which nothing moved.
    """
    pump = _Pump(source, target, bytes_per_second)
    future = ssh.begin(pump.run)
    try:
        while not future.done():
            if on_bytes is not None:
                on_bytes(pump.moved)
            try:
                future.result(WATCH_SECONDS)
            except TimeoutError:
                continue  # its own, or that of a result that will be asked for below
        future.result()
    except BaseException:
        future.cancel()
        raise
    return pump.moved


class _Pump:
    """One transfer, on the SSH loop. `moved` is read by the thread that waits for it."""

    def __init__(self, source: End, target: End, rate: int) -> None:
        self.moved = 0
        self._source = source
        self._target = target
        self._rate = rate
        self._begun = time.monotonic()

    async def run(self, ssh: AsyncSsh) -> None:
        async with (
            ssh.process(self._source.endpoint, self._source.argv, fed=False) as reading,
            ssh.process(self._target.endpoint, self._target.argv, fed=True) as writing,
        ):
            complaints = [asyncio.create_task(_said(process)) for process in (reading, writing)]
            try:
                whole = await self._pump(reading, writing)
                if whole:
                    # The source first: what it did not finish must not look whole to the target.
                    await self._end(self._source, reading, complaints[0])
                    writing.stdin.write_eof()
                await self._end(self._target, writing, complaints[1])
                if not whole:  # content with a part of it: whether the source could have read the rest is not known
                    end = self._target
                    raise DriverError(
                        f"{end.argv[0]} on {end.endpoint.name} ended before it had taken everything",
                        code="ended-early",
                        component="host",
                    )
            finally:
                for task in complaints:
                    task.cancel()

    async def _pump(self, reading: Process, writing: Process) -> bool:
        """Whether all was passed on; False when the target's command ended before that."""
        self._begun = time.monotonic()
        while True:
            with translating(self._source.endpoint, "send more data", STALL_SECONDS):
                async with asyncio.timeout(STALL_SECONDS):
                    data = await reading.stdout.read(CHUNK)
            if not data:
                return True
            with translating(self._target.endpoint, "take more data", STALL_SECONDS):
                async with asyncio.timeout(STALL_SECONDS):
                    try:
                        writing.stdin.write(data)
                        await writing.stdin.drain()
                    except BrokenPipeError:
                        return False
            self.moved += len(data)
            await self._hold_back()

    async def _hold_back(self) -> None:
        """Wait as long as the limit of the rate asks for."""
        if self._rate:
            ahead = self.moved / self._rate - (time.monotonic() - self._begun)
            if ahead > 0:
                await asyncio.sleep(ahead)

    async def _end(self, end: End, process: Process, said: "asyncio.Task[bytes]") -> None:
        try:
            async with asyncio.timeout(END_SECONDS):
                complaint = await said
                await process.wait_closed()
        except TimeoutError:
            raise TimedOut(
                f"{end.argv[0]} on {end.endpoint.name} did not end within {END_SECONDS:.0f} s",
                code="deadline", component="host",
            ) from None  # fmt: skip
        if process.exit_status != 0:
            lines = complaint.decode("utf-8", "replace").strip().splitlines()
            detail = f": {lines[-1][:300]}" if lines else ""
            raise DriverError(
                f"{end.argv[0]} on {end.endpoint.name} ended with {process.exit_status}{detail}",
                code=f"exit-{process.exit_status}",
                component="host",
            )


async def _said(process: Process) -> bytes:
    """The end of what the command complained about."""
    kept = b""
    while data := await process.stderr.read(CHUNK):
        kept = (kept + data)[-_SAID:]
    return kept
