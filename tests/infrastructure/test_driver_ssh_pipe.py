"""A command's output fed to another node's command: whole, limited, and never taken for whole when it is not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from infrastructure.drivers.base import DriverError
from infrastructure.drivers.ssh_pipe import End, pipe
from infrastructure.drivers.ssh_sync import Ssh
from tests.infrastructure.test_driver_ssh import Server, keys, server  # noqa: F401

SIZE = 3_000_000


async def send(server: Server, source: list[str], target: list[str], **options: Any) -> int:  # noqa: F811
    ssh = Ssh()
    ends = End(server.endpoint, tuple(source)), End(server.endpoint, tuple(target))
    try:
        return await asyncio.to_thread(lambda: pipe(ssh, *ends, **options))
    finally:
        ssh.drop(server.endpoint)


@pytest.mark.asyncio
async def test_every_byte_arrives_once_and_in_order(server: Server, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "here").write_bytes(bytes(range(256)) * (SIZE // 256))
    moved = await send(server, ["cat", str(tmp_path / "here")], ["dd", "status=none", f"of={tmp_path / 'there'}"])
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert moved == SIZE // 256 * 256


@pytest.mark.asyncio
async def test_a_source_that_fails_in_the_middle_is_the_cause(server: Server, tmp_path: Path) -> None:  # noqa: F811
    source = ["sh", "-c", "head -c 1000 /dev/zero; echo it broke >&2; exit 3"]
    with pytest.raises(DriverError, match="sh on node ended with 3: it broke"):
        await send(server, source, ["dd", "status=none", f"of={tmp_path / 'there'}"])


@pytest.mark.asyncio
async def test_a_target_that_fails_is_the_cause(server: Server) -> None:  # noqa: F811
    with pytest.raises(DriverError, match="ended with 5: no room"):
        await send(server, ["head", "-c", "1000", "/dev/zero"], ["sh", "-c", "echo no room >&2; exit 5"])


@pytest.mark.asyncio
async def test_a_target_that_is_content_with_a_part_has_not_taken_all(
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def part(_: Any, reading: Any, writing: Any) -> bool:
        writing.stdin.write_eof()
        return False

    monkeypatch.setattr("infrastructure.drivers.ssh_pipe._Pump._pump", part)
    with pytest.raises(DriverError, match="true on node ended before it had taken everything"):
        await send(server, ["head", "-c", "1000", "/dev/zero"], ["true"])


@pytest.mark.asyncio
async def test_what_the_watcher_raises_ends_it(server: Server) -> None:  # noqa: F811
    class Stop(Exception):
        pass

    def stop(_moved: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        await send(server, ["cat", "/dev/zero"], ["sh", "-c", "cat >/dev/null"], bytes_per_second=1000, on_bytes=stop)


@pytest.mark.asyncio
async def test_the_limit_holds_the_transfer_back(
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    original = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds > 0.01:
            waited.append(seconds)
        await original(0)

    begun = time.monotonic()
    monkeypatch.setattr("infrastructure.drivers.ssh_pipe.asyncio.sleep", note)
    await send(server, ["head", "-c", "500000", "/dev/zero"], ["sh", "-c", "cat >/dev/null"], bytes_per_second=1000)
    assert max(waited) > 100, f"500 kB at 1 kB/s after {time.monotonic() - begun:.1f} s"
