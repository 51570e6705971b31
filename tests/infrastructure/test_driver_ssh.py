"""SSH against a server in the same process: identity, authentication, argv, deadlines, files, sockets."""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.drivers.base import (
    DriverError,
    Endpoint,
    IdentityChanged,
    NotFound,
    Refused,
    TimedOut,
    Unreachable,
)
from infrastructure.drivers.ssh import OUTPUT_LIMIT, AsyncSsh, command_line, host_key


@dataclass
class Server:
    endpoint: Endpoint
    other_key: str
    acceptor: asyncssh.SSHAcceptor
    folder: Path


@pytest.fixture(scope="session")
def keys() -> dict[str, asyncssh.SSHKey]:
    return {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("host", "other", "panel")}


@pytest_asyncio.fixture
async def server(tmp_path: Path, keys: dict[str, asyncssh.SSHKey]) -> AsyncIterator[Server]:
    keys["panel"].write_private_key(str(tmp_path / "id"))
    keys["other"].write_private_key(str(tmp_path / "other"))
    keys["panel"].write_public_key(str(tmp_path / "authorized"))

    started: list[asyncio.subprocess.Process] = []
    handling: set[asyncio.Task[None] | None] = set()

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        handling.add(asyncio.current_task())
        local = await asyncio.create_subprocess_shell(
            process.command or "",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(local)
        stdout, stderr = await local.communicate(await process.stdin.read())
        process.stdout.write(stdout)
        process.stderr.write(stderr)
        process.exit(local.returncode or 0)

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[keys["host"]],
        authorized_client_keys=str(tmp_path / "authorized"),
        process_factory=handle,
        encoding=None,
        sftp_factory=True,
        server_factory=_Forwarding,
    )
    endpoint = Endpoint(
        "node",
        "127.0.0.1",
        ssh_port=acceptor.get_port(),
        host_key=keys["host"].export_public_key().decode(),
        ssh_key_path=str(tmp_path / "id"),
    )
    yield Server(endpoint, keys["other"].export_public_key().decode(), acceptor, tmp_path)
    acceptor.close()
    await acceptor.wait_closed()
    await _end_commands(handling, started)


async def _end_commands(handling: "set[asyncio.Task[None] | None]", started: list[asyncio.subprocess.Process]) -> None:
    """Before the loop ends: to cancel all its tasks while a process begins is to wait for ever in Python 3.11."""
    end = time.monotonic() + 5
    while (open_ := {task for task in handling if task and not task.done()}) and time.monotonic() < end:
        for local in started:
            if local.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # ended, and not yet heard of here
                    os.killpg(local.pid, signal.SIGKILL)
        await asyncio.wait(open_, timeout=0.1)


class _Forwarding(asyncssh.SSHServer):
    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


@pytest_asyncio.fixture
async def ssh() -> AsyncIterator[AsyncSsh]:
    made = AsyncSsh()
    yield made
    await made.close()


async def test_it_runs_a_command_and_passes_bytes(ssh: AsyncSsh, server: Server) -> None:
    done = await ssh.run(server.endpoint, ["cat"], input=b"\0\xff\n")
    assert (done.stdout, done.code) == (b"\0\xff\n", 0)


async def test_elements_reach_the_program_as_they_are(ssh: AsyncSsh, server: Server) -> None:
    odd = ["a b", "$(id)", ";id", "'", '"', "*", "-h", "é", "", "\\"]
    done = await ssh.run(server.endpoint, ["printf", "%s|", *odd])
    assert done.text == "|".join(odd) + "|"


async def test_a_failure_names_the_command_and_its_last_words(ssh: AsyncSsh, server: Server) -> None:
    with pytest.raises(DriverError, match="sh on node ended with 3: boo") as caught:
        await ssh.run(server.endpoint, ["sh", "-c", "echo boo >&2; exit 3"])
    assert (caught.value.component, caught.value.code) == ("host", "exit-3")
    assert (await ssh.run(server.endpoint, ["false"], check=False)).code == 1


async def test_a_connection_is_shared_and_opened_again_when_lost(ssh: AsyncSsh, server: Server) -> None:
    await asyncio.gather(*(ssh.run(server.endpoint, ["true"]) for _ in range(20)))
    assert len(ssh._pool) == 1
    connection = ssh._pool[server.endpoint].connection
    assert connection is not None
    connection.abort()
    await connection.wait_closed()
    assert (await ssh.run(server.endpoint, ["true"])).code == 0


async def test_a_late_command_is_ended_in_time(ssh: AsyncSsh, server: Server) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimedOut, match=r"did not finish sleep within 0\.2 s"):
        await ssh.run(server.endpoint, ["sleep", "20"], deadline=0.2)
    assert asyncio.get_running_loop().time() - began < 5
    assert (await ssh.run(server.endpoint, ["true"])).code == 0


async def test_output_without_end_is_cut(ssh: AsyncSsh, server: Server) -> None:
    done = await ssh.run(server.endpoint, ["head", "-c", str(OUTPUT_LIMIT + 5), "/dev/zero"])
    assert len(done.stdout) == OUTPUT_LIMIT
    assert done.truncated


async def test_another_host_key_is_refused_with_both_fingerprints(ssh: AsyncSsh, server: Server) -> None:
    pinned = replace(server.endpoint, host_key=server.other_key)
    with pytest.raises(IdentityChanged) as caught:
        await ssh.run(pinned, ["true"])
    assert host_key(server.other_key).fingerprint in str(caught.value)
    assert host_key(server.endpoint.host_key).fingerprint in str(caught.value)
    assert "onboard it again" in caught.value.advice


async def test_a_node_whose_key_nobody_confirmed_is_not_dialled(ssh: AsyncSsh, server: Server) -> None:
    with pytest.raises(Refused, match="not confirmed"):
        await ssh.run(replace(server.endpoint, host_key=""), ["true"])


async def test_a_node_that_refuses_the_panels_key_says_where_to_install_it(ssh: AsyncSsh, server: Server) -> None:
    stranger = replace(server.endpoint, ssh_key_path=str(server.folder / "other"))
    with pytest.raises(Refused, match=r"/root/\.ssh/authorized_keys of node"):
        await ssh.run(stranger, ["true"])


async def test_nothing_listening_is_unreachable(ssh: AsyncSsh, server: Server) -> None:
    server.acceptor.close()
    await server.acceptor.wait_closed()
    with pytest.raises(Unreachable):
        await ssh.run(server.endpoint, ["true"])


async def test_a_server_that_says_nothing_is_left_in_time(ssh: AsyncSsh, server: Server) -> None:
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(30), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(TimedOut):
            await ssh.run(replace(server.endpoint, ssh_port=port), ["true"], deadline=0.3)


async def test_it_shows_a_host_key_without_trusting_it(ssh: AsyncSsh, server: Server) -> None:
    found = await ssh.fetch_host_key("127.0.0.1", server.endpoint.ssh_port)
    assert found == host_key(server.endpoint.host_key)
    assert found.fingerprint.startswith("SHA256:")
    assert not ssh._pool


async def test_a_file_is_replaced_whole_and_leaves_nothing_behind(ssh: AsyncSsh, server: Server) -> None:
    path = server.folder / "out" / "file"
    path.parent.mkdir()
    for content in (b"a" * 200_000, b"b"):
        await ssh.write_file(server.endpoint, str(path), content, mode=0o640)
    assert path.read_bytes() == b"b"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in path.parent.iterdir()] == ["file"]
    assert await ssh.read_file(server.endpoint, str(path)) == b"b"


async def test_a_missing_file_is_not_found(ssh: AsyncSsh, server: Server) -> None:
    with pytest.raises(NotFound):
        await ssh.read_file(server.endpoint, str(server.folder / "none"))
    with pytest.raises(NotFound):
        await ssh.write_file(server.endpoint, str(server.folder / "none" / "x"), b"")


async def test_it_reaches_a_unix_socket_of_the_node(ssh: AsyncSsh, server: Server) -> None:
    path = str(server.folder / "vnc.sock")

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(echo, path):
        stream = await ssh.open_unix(server.endpoint, path)
        stream.write(b"\0RFB")
        assert await stream.read(4) == b"\0RFB"
        assert await stream.read(4) == b"", "the end of the socket was not passed on"
        stream.close()
    with pytest.raises(NotFound):
        await ssh.open_unix(server.endpoint, str(server.folder / "gone.sock"))


async def test_a_socket_that_nobody_reads_holds_the_node_back(ssh: AsyncSsh, server: Server) -> None:
    path, sent = str(server.folder / "flood.sock"), 0
    whole = bytes(range(256)) * 4096 * 16

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for at in range(0, len(whole), 65536):
            writer.write(whole[at : at + 65536])
            await writer.drain()
            sent = at + 65536
        writer.close()

    async with await asyncio.start_unix_server(flood, path):
        stream = await ssh.open_unix(server.endpoint, path)
        await asyncio.sleep(0.5)
        assert sent < 8 << 20, "what nobody reads piles up in the panel"
        seen = bytearray()
        while data := await stream.read(100_000):
            assert len(data) <= 100_000
            seen += data
        assert seen == whole
        stream.close()


@pytest.mark.parametrize("argv", [[], ["a\nb"], ["a", "b\0"], ["a\rb"]])
def test_an_argv_that_no_quoting_makes_safe_is_refused(argv: list[str]) -> None:
    with pytest.raises(Refused):
        command_line(argv)


@pytest.mark.parametrize("path", ["", "relative", "/a\nb", "/a\0b"])
async def test_a_path_must_be_absolute(ssh: AsyncSsh, server: Server, path: str) -> None:
    with pytest.raises(Refused):
        await ssh.read_file(server.endpoint, path)


@given(st.lists(st.text(st.characters(blacklist_characters="\0\n\r", blacklist_categories=("Cs",))), min_size=1))
@settings(max_examples=200)
def test_a_quoted_argv_is_the_same_after_a_shell_has_split_it(argv: list[str]) -> None:
    assert shlex.split(command_line(argv)) == argv


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    asyncssh.set_log_level("CRITICAL")
    yield
