"""SSH to nodes: commands, files and forwarded sockets over pooled connections.

This module alone opens SSH.  A host key is pinned in the Endpoint and never learnt here; ``fetch_host_key`` only shows
the key to a person who confirms it.  Commands are argv lists: SSH carries one string, so each element is quoted.
"""

import asyncio
import secrets
import shlex
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import cast

import asyncssh

from infrastructure.drivers.base import Endpoint, remaining
from infrastructure.drivers.errors import DriverError, Refused
from infrastructure.drivers.facts import Completed, HostKey
from infrastructure.drivers.ssh_channel import Forwarded
from infrastructure.drivers.ssh_errors import identity_changed, key_unreadable, translating
from infrastructure.drivers.uris import checked_address

LOGIN_SECONDS = 8.0
KEEPALIVE_SECONDS = 5
OUTPUT_LIMIT = 8 << 20
# sshd allows 10 sessions on a connection (MaxSessions); forwarded sockets do not count.
SESSIONS = 8
_HOST_KEY_ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
# AES-GCM first: with the processor's AES instructions it carries console traffic at the least cost.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_CHUNK = 64 << 10

Reader = asyncssh.SSHReader[bytes]


class _Pooled:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.sessions = asyncio.Semaphore(SESSIONS)
        self.connection: asyncssh.SSHClientConnection | None = None


class AsyncSsh:
    """For one event loop: make it there and use it there only."""

    def __init__(self) -> None:
        self._pool: dict[Endpoint, _Pooled] = {}

    async def run(
        self,
        endpoint: Endpoint,
        argv: Collection[str],
        *,
        input: bytes | None = None,
        deadline: float = 20.0,
        check: bool = True,
    ) -> Completed:
        """Run a command; stdout and stderr are cut at 8 MiB each.

        Raises DriverError(component="host") for a non-zero exit when ``check``, Refused for an argv with line breaks.
        """
        command = command_line(argv)
        seconds = remaining(deadline)
        with translating(endpoint, f"finish {next(iter(argv))}", seconds):
            async with asyncio.timeout(seconds), self._session(endpoint) as connection:
                done = await _run(connection, command, input)
        if check and done.code != 0:
            raise _failed(endpoint, argv, done)
        return done

    async def write_file(
        self, endpoint: Endpoint, path: str, data: bytes, *, mode: int = 0o644, deadline: float = 20.0
    ) -> None:
        """Replace a file: written beside it under a private name, flushed, then renamed over it."""
        path = _checked_path(path)
        temporary = f"{path}.{secrets.token_hex(6)}.tmp"
        seconds = remaining(deadline)
        with translating(endpoint, f"take {path}", seconds):
            async with asyncio.timeout(seconds), self._sftp(endpoint) as sftp:
                try:
                    attributes = asyncssh.SFTPAttrs(permissions=mode)
                    async with sftp.open(temporary, "xb", asyncssh.SFTPAttrs(permissions=0o600)) as file:
                        await file.write(data)
                        await file.setstat(attributes)
                        await file.fsync()
                    await sftp.posix_rename(temporary, path)
                except asyncssh.SFTPError:
                    if await sftp.exists(temporary):
                        await sftp.remove(temporary)
                    raise

    async def read_file(self, endpoint: Endpoint, path: str, *, limit: int = 1 << 20, deadline: float = 20.0) -> bytes:
        """At most ``limit`` bytes of a file; NotFound without it."""
        path = _checked_path(path)
        seconds = remaining(deadline)
        with translating(endpoint, f"send {path}", seconds):
            async with asyncio.timeout(seconds), self._sftp(endpoint) as sftp, sftp.open(path, "rb") as file:
                return cast("bytes", await file.read(limit))

    async def open_unix(self, endpoint: Endpoint, path: str, *, deadline: float = 10.0) -> Forwarded:
        """A stream to a unix socket of the node.  NotFound when nothing listens there."""
        path = _checked_path(path)
        seconds = remaining(deadline)
        with translating(endpoint, f"connect to {path}", seconds):
            async with asyncio.timeout(seconds):
                connection = await self._connected(endpoint)
                _, stream = await connection.create_unix_connection(Forwarded, path)
                return cast("Forwarded", stream)

    async def open_tcp(self, endpoint: Endpoint, host: str, port: int, *, deadline: float = 10.0) -> Forwarded:
        """A stream to a TCP port as the node reaches it: its own loopback, usually."""
        seconds = remaining(deadline)
        with translating(endpoint, f"connect to {host}:{port}", seconds):
            async with asyncio.timeout(seconds):
                connection = await self._connected(endpoint)
                _, stream = await connection.create_connection(Forwarded, checked_address(host), port)
                return cast("Forwarded", stream)

    @asynccontextmanager
    async def process(
        self, endpoint: Endpoint, argv: Collection[str], *, fed: bool, deadline: float = 20.0
    ) -> AsyncIterator["asyncssh.SSHClientProcess[bytes]"]:
        """A command under way, its streams as bytes; it is killed when it still runs at the end of the block.

        fed: its standard input is written to; else it is at its end from the beginning.
        """
        command = command_line(argv)
        seconds = remaining(deadline)
        async with self._session(endpoint) as connection:
            with translating(endpoint, f"start {next(iter(argv))}", seconds):
                async with asyncio.timeout(seconds):
                    process = await connection.create_process(
                        command, encoding=None, stdin=asyncssh.PIPE if fed else asyncssh.DEVNULL
                    )
            try:
                yield process
            finally:
                if process.exit_status is None and not process.is_closing():
                    process.kill()
                process.close()

    async def fetch_host_key(self, address: str, port: int = 22, *, deadline: float = LOGIN_SECONDS) -> HostKey:
        """The key that the server at this address offers, Ed25519 if it has one.  Nothing is trusted by asking."""
        endpoint = Endpoint(name=address, address=address, ssh_port=port)
        seconds = remaining(deadline)
        with translating(endpoint, "show its SSH host key", seconds):
            async with asyncio.timeout(seconds):
                key = await asyncssh.get_server_host_key(
                    checked_address(address), port, server_host_key_algs=_HOST_KEY_ALGORITHMS, config=None
                )
        if key is None:
            raise Refused(f"The SSH server at {address} shows no host key", code="ssh-no-key", component="ssh")
        return host_key(key.export_public_key().decode())

    async def drop(self, endpoint: Endpoint) -> None:
        """Close the connection to a node, and with it every stream that uses it."""
        pooled = self._pool.pop(endpoint, None)
        if pooled is not None and pooled.connection is not None:
            pooled.connection.abort()

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in tuple(self._pool):
            await self.drop(endpoint)

    async def _connected(self, endpoint: Endpoint) -> asyncssh.SSHClientConnection:
        pooled = self._pool.setdefault(endpoint, _Pooled())
        async with pooled.lock:
            if pooled.connection is None or pooled.connection.is_closed():
                pooled.connection = await self._connect(endpoint)
            return pooled.connection

    async def _connect(self, endpoint: Endpoint) -> asyncssh.SSHClientConnection:
        if not endpoint.host_key:
            raise Refused(
                f"The SSH host key of {endpoint.name} was not confirmed yet",
                code="ssh-not-pinned",
                component="ssh",
                advice="Confirm the host key's fingerprint, then onboard the node.",
            )
        pinned = asyncssh.import_public_key(endpoint.host_key)
        try:
            key = asyncssh.read_private_key(endpoint.ssh_key_path)
        except (OSError, asyncssh.KeyImportError) as error:
            raise key_unreadable(endpoint.ssh_key_path, error) from error
        try:
            return await asyncssh.connect(
                checked_address(endpoint.address),
                endpoint.ssh_port,
                username=endpoint.ssh_user,
                client_keys=[key],
                known_hosts=([pinned], [], []),
                preferred_auth="publickey",
                agent_path=None,
                config=None,
                compression_algs=None,
                encryption_algs=_CIPHERS,
                keepalive_interval=KEEPALIVE_SECONDS,
                login_timeout=LOGIN_SECONDS,
            )
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            found = await self._offered(endpoint)
            if found is not None and found.line == host_key(endpoint.host_key).line:
                raise  # the key is the pinned one: the exchange failed for another reason
            raise identity_changed(endpoint, pinned.get_fingerprint(), found) from error

    async def _offered(self, endpoint: Endpoint) -> HostKey | None:
        try:
            return await self.fetch_host_key(endpoint.address, endpoint.ssh_port)
        except DriverError:
            return None

    @asynccontextmanager
    async def _session(self, endpoint: Endpoint) -> AsyncIterator[asyncssh.SSHClientConnection]:
        connection = await self._connected(endpoint)
        async with self._pool.setdefault(endpoint, _Pooled()).sessions:
            yield connection

    @asynccontextmanager
    async def _sftp(self, endpoint: Endpoint) -> AsyncIterator[asyncssh.SFTPClient]:
        async with self._session(endpoint) as connection, connection.start_sftp_client() as sftp:
            yield sftp


def host_key(line: str) -> HostKey:
    """Read a public key line; ValueError when it is none.  The comment is dropped, so lines compare equal."""
    key = asyncssh.import_public_key(line)
    kind, _, rest = key.export_public_key().decode().strip().partition(" ")
    return HostKey(line=f"{kind} {rest.split(' ')[0]}", fingerprint=key.get_fingerprint(), type=kind)


def command_line(argv: Collection[str]) -> str:
    """The one string that SSH carries; Refused for what no quoting makes safe."""
    if not argv or any(character in item for item in argv for character in "\0\n\r"):
        raise Refused("A command needs elements without line breaks", code="bad-argv", component="host")
    return shlex.join(argv)


def _checked_path(path: str) -> str:
    if not PurePosixPath(path).is_absolute() or any(character in path for character in "\0\n\r"):
        raise Refused(f"{path[:80]!r} is not an absolute path", code="bad-path", component="host")
    return path


async def _run(connection: asyncssh.SSHClientConnection, command: str, data: bytes | None) -> Completed:
    process = await connection.create_process(
        command, encoding=None, stdin=asyncssh.DEVNULL if data is None else asyncssh.PIPE
    )
    try:
        if data is not None:
            process.stdin.write(data)
            process.stdin.write_eof()
        (stdout, cut_out), (stderr, cut_err) = await asyncio.gather(_capped(process.stdout), _capped(process.stderr))
        result = await process.wait()
    except asyncio.CancelledError:
        # Closing the channel would leave the command running on the node.
        process.kill()
        process.close()
        raise
    # A command that was killed by a signal has no exit status.
    code = result.exit_status if result.exit_status is not None else -1
    return Completed(stdout, stderr, code, truncated=cut_out or cut_err)


async def _capped(reader: Reader) -> tuple[bytes, bool]:
    data, cut = bytearray(), False
    while chunk := await reader.read(_CHUNK):
        room = OUTPUT_LIMIT - len(data)
        data += chunk[:room]
        cut = cut or len(chunk) > room
    return bytes(data), cut


def _failed(endpoint: Endpoint, argv: Collection[str], done: Completed) -> DriverError:
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    detail = f": {said[-1][:300]}" if said else ""
    return DriverError(
        f"{next(iter(argv))} on {endpoint.name} ended with {done.code}{detail}",
        code=f"exit-{done.code}",
        component="host",
    )
