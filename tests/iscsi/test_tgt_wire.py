"""Requests to servers over forwarded sockets: many at once, and whatever goes wrong with one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from infrastructure.drivers.base import Endpoint, within
from infrastructure.drivers.errors import DriverError, NotFound, TimedOut, Unreachable
from iscsi.drivers import protocol
from iscsi.drivers.tgt_wire import Answer, Wire

NODE = Endpoint("primary", "192.0.2.1")


class Stream:
    """A forwarded socket that gives these pieces, then ends; None: nothing more comes."""

    def __init__(self, pieces: list[bytes | None]) -> None:
        self._pieces = list(pieces)
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    async def read(self, count: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if piece is None:
            await asyncio.sleep(3600)
        assert piece is not None
        if len(piece) > count:
            self._pieces.insert(0, piece[count:])
        return piece[:count]

    def close(self) -> None:
        self.closed = True


class Ssh:
    """By the path of a socket: what it gives, or the error of opening it."""

    def __init__(self, sockets: dict[str, Stream | DriverError]) -> None:
        self.sockets = sockets

    async def open_unix(self, endpoint: Endpoint, path: str, *, deadline: float = 10.0) -> Stream:
        found = self.sockets[path]
        if isinstance(found, DriverError):
            raise found
        return found

    def submit(self, make: Callable[[Any], Coroutine[Any, Any, Any]], seconds: float) -> Any:
        return asyncio.run(make(self))


def wire(*streams: Stream | DriverError) -> Wire:
    """Servers 1, 2, … of a node."""
    sockets = {f"/var/run/tgtd/socket.{number}": each for number, each in enumerate(streams, 1)}
    return Wire(Ssh(sockets), NODE)  # type: ignore[arg-type]


def test_an_answer_is_put_together_however_it_comes() -> None:
    data = protocol.answer("Target 1: x\n")
    stream = Stream([data[index : index + 1] for index in range(len(data))])
    assert wire(stream).ask(1, protocol.show_all()) == Answer(0, "Target 1: x\n")
    assert protocol.decode(stream.written) == protocol.show_all()
    assert stream.closed


def test_an_error_is_a_number_without_text() -> None:
    assert wire(Stream([protocol.answer(error=4)])).ask(1, protocol.show_all()) == Answer(4, "")


def test_one_that_says_nothing_delays_no_other_and_is_told_as_waiting() -> None:
    silent, good = Stream([None]), Stream([protocol.answer("x")])
    asked = [(number, protocol.show_all()) for number in (1, 2)]
    with within(0.1):
        first, second = wire(silent, good).ask_all(asked)
    assert isinstance(first, TimedOut) and "did not answer within 0.1 s" in first.message
    assert first.component == "tgt"
    assert second == Answer(0, "x")
    assert silent.closed


def test_where_nothing_listens_the_server_does_not_run() -> None:
    gone = NotFound("Nothing answers there", code="ssh-connect", component="ssh")
    with pytest.raises(Unreachable) as caught:
        wire(gone).ask(1, protocol.show_all())
    assert (caught.value.code, caught.value.component) == ("not-running", "tgt")


def test_a_node_that_is_gone_is_told_as_such() -> None:
    lost = Unreachable("The SSH connection was lost", code="ssh-lost", component="ssh")
    with pytest.raises(Unreachable) as caught:
        wire(lost).ask(1, protocol.show_all())
    assert caught.value.component == "ssh"


@pytest.mark.parametrize("pieces", [[], [b"\0\0"], [protocol.answer("a long text")[:12]]])
def test_one_that_ends_while_it_is_asked_is_not_running(pieces: list[bytes | None]) -> None:
    with pytest.raises(Unreachable) as caught:
        wire(Stream(pieces)).ask(1, protocol.show_all())
    assert caught.value.code == "ended"


def test_what_is_no_answer_of_tgt_is_an_error() -> None:
    with pytest.raises(DriverError) as caught:
        wire(Stream([b"HTTP/1.1 400 Bad Request\r\n"])).ask(1, protocol.show_all())
    assert caught.value.code == "protocol"
