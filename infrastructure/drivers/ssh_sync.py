"""``Ssh``: the calls of AsyncSsh for threads, run on one event loop thread per process."""

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from infrastructure.drivers.base import Endpoint, remaining, within
from infrastructure.drivers.errors import TimedOut
from infrastructure.drivers.facts import Completed, HostKey
from infrastructure.drivers.ssh import LOGIN_SECONDS, AsyncSsh
from infrastructure.drivers.ssh_channel import Forwarded

T = TypeVar("T")
# The coroutine ends by its own deadline; this is only for a loop that is stuck.
GRACE_SECONDS = 5.0


class Ssh:
    """Thread-safe.  Opens nothing until its first call; starts anew in a forked process."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ssh: AsyncSsh | None = None

    def run(
        self,
        endpoint: Endpoint,
        argv: Collection[str],
        *,
        input: bytes | None = None,
        deadline: float = 20.0,
        check: bool = True,
    ) -> Completed:
        return self._do(lambda ssh: ssh.run(endpoint, argv, input=input, deadline=deadline, check=check), deadline)

    def write_file(
        self, endpoint: Endpoint, path: str, data: bytes, *, mode: int = 0o644, deadline: float = 20.0
    ) -> None:
        self._do(lambda ssh: ssh.write_file(endpoint, path, data, mode=mode, deadline=deadline), deadline)

    def read_file(self, endpoint: Endpoint, path: str, *, limit: int = 1 << 20, deadline: float = 20.0) -> bytes:
        return self._do(lambda ssh: ssh.read_file(endpoint, path, limit=limit, deadline=deadline), deadline)

    def open_unix(self, endpoint: Endpoint, path: str, *, deadline: float = 10.0) -> "Stream":
        return Stream(self, self._do(lambda ssh: ssh.open_unix(endpoint, path, deadline=deadline), deadline))

    def open_tcp(self, endpoint: Endpoint, host: str, port: int, *, deadline: float = 10.0) -> "Stream":
        return Stream(self, self._do(lambda ssh: ssh.open_tcp(endpoint, host, port, deadline=deadline), deadline))

    def fetch_host_key(self, address: str, port: int = 22, *, deadline: float = LOGIN_SECONDS) -> HostKey:
        return self._do(lambda ssh: ssh.fetch_host_key(address, port, deadline=deadline), deadline)

    def drop(self, endpoint: Endpoint) -> None:
        """Close the connection to a node; never raises, opens nothing."""
        with self._lock:
            loop, ssh = self._loop, self._ssh
        if loop is not None and ssh is not None:
            asyncio.run_coroutine_threadsafe(ssh.drop(endpoint), loop)

    def submit(self, make: Callable[[AsyncSsh], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Run one coroutine on the loop thread; TimedOut when the loop does not finish it."""
        loop, ssh = self._started()
        future = asyncio.run_coroutine_threadsafe(make(ssh), loop)
        try:
            return future.result(seconds + GRACE_SECONDS)
        except FutureTimeout:
            future.cancel()
            raise TimedOut("The panel's SSH loop did not answer", code="ssh-loop", component="ssh") from None

    def begin(self, make: Callable[[AsyncSsh], Coroutine[Any, Any, T]]) -> "Future[T]":
        """Start one coroutine on the loop thread; cancelling what is returned cancels it."""
        loop, ssh = self._started()
        return asyncio.run_coroutine_threadsafe(make(ssh), loop)

    def _do(self, make: Callable[[AsyncSsh], Coroutine[Any, Any, T]], deadline: float) -> T:
        seconds = remaining(deadline)

        async def limited(ssh: AsyncSsh) -> T:
            with within(seconds):  # the caller's limit does not reach the loop's thread by itself
                return await make(ssh)

        return self.submit(limited, seconds)

    def _started(self) -> tuple[asyncio.AbstractEventLoop, AsyncSsh]:
        with self._lock:
            if self._loop is None or self._ssh is None:
                self._loop = asyncio.new_event_loop()
                self._ssh = AsyncSsh()
                threading.Thread(target=self._loop.run_forever, name="ssh-loop", daemon=True).start()
            return self._loop, self._ssh


class Stream:
    """A forwarded socket for threads: blocking calls with a deadline in seconds."""

    def __init__(self, ssh: Ssh, forwarded: Forwarded) -> None:
        self._ssh = ssh
        self._forwarded = forwarded

    def read(self, count: int, *, deadline: float = 10.0) -> bytes:
        """Up to ``count`` bytes as they come, b"" at the end."""

        async def read(_ssh: AsyncSsh) -> bytes:
            try:
                async with asyncio.timeout(deadline):
                    return await self._forwarded.read(count)
            except TimeoutError:
                raise TimedOut(f"Nothing came within {deadline:g} s", code="stream", component="ssh") from None

        return self._ssh.submit(read, deadline)

    def write(self, data: bytes, *, deadline: float = 10.0) -> None:
        async def write(_ssh: AsyncSsh) -> None:
            self._forwarded.write(data)
            await self._forwarded.drain()

        self._ssh.submit(write, deadline)

    def close(self) -> None:
        async def close(_ssh: AsyncSsh) -> None:
            self._forwarded.close()

        self._ssh.submit(close, 1.0)
