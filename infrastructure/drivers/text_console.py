"""Text consoles for an event loop: a VM's serial port or a container's console as a stream of bytes.

Each open console is a process of its own (``console_process``), so that a node that hangs, or a fault of libvirt's
client library, ends this one console and nothing else.  Back-pressure goes through its pipes both ways.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, cast

from infrastructure.drivers import errors
from infrastructure.drivers.base import Endpoint, remaining
from infrastructure.drivers.errors import DriverError, TimedOut, Unreachable
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.uris import connection_uri

OPEN_SECONDS = 10.0
_ROOT = Path(__file__).resolve().parents[2]
_BUFFER = 64 << 10  # bytes read ahead from the process; the pipe itself holds as much again
_PATH = "/usr/local/bin:/usr/bin:/bin"


class TextStream:
    """An open console; ``read`` returns b"" once it has ended."""

    def __init__(self, transport: asyncio.SubprocessTransport, process: asyncio.subprocess.Process) -> None:
        self._transport = transport
        self._process = process
        self._writer = cast("asyncio.StreamWriter", process.stdin)
        self._reader = cast("asyncio.StreamReader", process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def read(self, n: int = _BUFFER) -> bytes:
        return await self._reader.read(n)

    async def read_line(self) -> bytes:
        return await self._reader.readline()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the guest takes input again.  OSError when the console has ended."""
        await self._writer.drain()

    def close(self) -> None:
        """End it at once, whatever state the node is in; the loop collects the process."""
        self._transport.close()

    async def wait_closed(self) -> None:
        """Until the process is gone."""
        await self._process.wait()


async def open_text(
    endpoint: Endpoint, kind: VEKind, uuid: str, *, force: bool = False, deadline: float = OPEN_SECONDS
) -> TextStream:
    """Open the console of a running VE; ``force`` takes a VM's from whoever has it open (containers do not tell).

    Raises Conflict (code "console-busy" when another program has it, else not running), NotSupported without a
    console device, NotFound, Unreachable, TimedOut after ``deadline`` seconds.
    """
    seconds = remaining(deadline)
    request = {
        "uri": connection_uri(endpoint, kind),
        "uuid": uuid,
        "node": endpoint.name,
        "force": force and kind is VEKind.VM,  # libvirt's LXC driver knows no flags
        "seconds": seconds,
    }
    stream = await _start()
    try:
        async with asyncio.timeout(seconds):
            stream.write(json.dumps(request).encode() + b"\n")
            await stream.drain()
            answer = json.loads(await stream.read_line() or b"null")
        if answer is None:
            raise Unreachable(f"The console's process for {endpoint.name} ended at once", code="console-process")
        if answer:
            raise _error(answer)
    except TimeoutError:
        stream.close()
        raise TimedOut(
            f"libvirtd on {endpoint.name} did not open the console within {seconds:g} s",
            code="deadline",
            advice="Check that libvirtd on the node is not stuck.",
        ) from None
    except BaseException:
        stream.close()
        raise
    return stream


async def _start() -> TextStream:
    """The console's process.

    As ``asyncio.create_subprocess_exec`` does it, which keeps the transport to itself: to close that is the way to give
    the pipes back while nobody reads them.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=_BUFFER, loop=loop),
        sys.executable,
        "-m",
        "infrastructure.drivers.console_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None,
        cwd=_ROOT,
        env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},  # no secret of the panel's environment
        start_new_session=True,
    )
    return TextStream(transport, asyncio.subprocess.Process(transport, protocol, loop))


def _error(answer: dict[str, Any]) -> DriverError:
    """The DriverError that the process told."""
    family: type[DriverError] = getattr(errors, answer.pop("kind"), DriverError)
    return family(answer.pop("message"), **answer)
