"""Text consoles of real guests: a VM's serial port, a container's console, through libvirt of the lab's nodes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from infrastructure.drivers.base import Conflict, ConsoleEndpoint, NotFound, VEKind
from infrastructure.drivers.text_console import TextStream, open_text
from tests.contract.conftest import Subject
from tests.contract.test_host_driver import NOBODY

KINDS = [VEKind.VM, VEKind.CT]


def uuid_of(subject: Subject, kind: VEKind) -> str:
    return subject.vm if kind is VEKind.VM else subject.ct


def test_a_running_vm_tells_that_it_has_a_serial_console(subject: Subject) -> None:
    if subject.driver.endpoint.uri:
        pytest.skip("libvirt's test driver has no consoles")
    assert subject.driver.text_console(subject.vm) == ConsoleEndpoint("serial")
    assert not subject.driver.text_console(subject.vm).exposed
    subject.driver.destroy(subject.vm)
    with pytest.raises(Conflict):
        subject.driver.text_console(subject.vm)
    with pytest.raises(NotFound):
        subject.driver.text_console(NOBODY)


@pytest_asyncio.fixture
async def opened(subject: Subject) -> AsyncIterator["Open"]:
    """opened(kind, force=False) → the console of the subject's VE of that kind; it is gone when the test is over."""
    streams: list[TextStream] = []

    async def open_one(kind: VEKind = VEKind.VM, *, force: bool = False) -> TextStream:
        streams.append(await open_text(subject.driver.endpoint, kind, uuid_of(subject, kind), force=force))
        return streams[-1]

    yield open_one
    for stream in streams:
        stream.close()
        await stream.wait_closed()


Open = Callable[..., Awaitable[TextStream]]


async def say(stream: TextStream, line: bytes, answer: bytes, seconds: float = 90) -> bytes:
    """Type until the answer is there: a guest that is booting takes no input yet.

    Lines begin with Ctrl-C: an earlier one may have been typed once too often, and what it started be running.
    """
    seen, until, typed = b"", time.monotonic() + seconds, 0.0
    while answer not in seen:
        assert time.monotonic() < until, seen
        if time.monotonic() - typed > 3:
            stream.write(line)
            await stream.drain()
            typed = time.monotonic()
        try:
            data = await asyncio.wait_for(stream.read(), 0.5)
        except TimeoutError:
            continue
        assert data, "the console ended"
        seen += data
    return seen


async def until_told(stream: TextStream, answer: bytes) -> None:
    seen = b""
    while answer not in seen:
        seen += await asyncio.wait_for(stream.read(), 90) or b""


@pytest.mark.lab
@pytest.mark.parametrize("subject", ["lab"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_typed_reaches_the_guests_shell(subject: Subject, kind: VEKind, opened: Open) -> None:
    subject.driver.start(uuid_of(subject, kind))
    stream = await opened(kind)
    await say(stream, b"\x03echo a''b\r", b"ab\r\n")
    # Ctrl-C reaches what runs there, and Ctrl-] is a key like any other.
    stream.write(b"echo e''f; sleep 3600\r")
    await until_told(stream, b"ef\r\n")
    await say(stream, b"\x03echo c''d\r", b"cd\r\n")
    await say(stream, b"\x03head -c 1 | od -c\r\x1d\r", b"035")


@pytest.mark.lab
@pytest.mark.parametrize("subject", ["lab"], indirect=True)
async def test_a_console_that_is_in_use_is_refused_and_can_be_taken(opened: Open) -> None:
    first = await opened()
    with pytest.raises(Conflict) as refusal:
        await opened()
    assert refusal.value.code == "console-busy"

    second = await opened(force=True)
    assert await asyncio.wait_for(_to_the_end(first), 60) is None
    await say(second, b"\x03echo a''b\r", b"ab\r\n")


@pytest.mark.lab
@pytest.mark.parametrize("subject", ["lab"], indirect=True)
async def test_it_ends_with_the_guest(subject: Subject, opened: Open) -> None:
    stream = await opened()
    await asyncio.to_thread(subject.driver.destroy, subject.vm)

    assert await asyncio.wait_for(_to_the_end(stream), 60) is None
    with pytest.raises(Conflict):
        await opened()


@pytest.mark.lab
@pytest.mark.parametrize("subject", ["lab"], indirect=True)
async def test_output_that_nobody_reads_holds_the_guest_back_and_keys_still_reach_it(
    subject: Subject, opened: Open
) -> None:
    subject.driver.start(subject.ct)
    stream = await opened(VEKind.CT)
    await say(stream, b"\x03echo a''b\r", b"ab\r\n")
    stream.write(b"yes flood\r")
    await stream.drain()
    await asyncio.sleep(3)
    assert _memory(stream.pid) < 80 << 20, "what nobody reads piles up in the console's process"
    stream.write(b"\x03")
    await stream.drain()
    await say(stream, b"\x03echo c''d\r", b"cd\r\n")


async def _to_the_end(stream: TextStream) -> None:
    while await stream.read():
        pass


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123 a pseudo file
        return int(file.read().split()[1]) * 4096
