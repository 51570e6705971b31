"""The socket under a libvirt connection can be found and cut."""

import socket
import threading
from collections.abc import Iterator

import pytest

from infrastructure.drivers.base import TimedOut
from infrastructure.drivers.libvirt_socket import opening


@pytest.fixture
def peer() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


def test_cutting_the_line_ends_a_read_that_waits(peer: tuple[str, int]) -> None:
    other = socket.create_connection(peer)
    client, line = opening(peer, lambda: socket.create_connection(peer), 5)
    assert line is not None
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(client.recv(1)))
    reader.start()
    line.cut()
    reader.join(30)
    assert got == [b""]
    other.settimeout(0.05)
    with pytest.raises(TimeoutError):  # a connection to the same peer that was there before is left alone
        other.recv(1)
    other.close()
    client.close()


def test_a_dead_peer_is_noticed_by_the_kernel(peer: tuple[str, int]) -> None:
    client, line = opening(peer, lambda: socket.create_connection(peer), 5)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 9000
    assert line is not None
    line.cut()
    client.close()


def test_a_connect_that_hangs_is_cut_by_the_next(peer: tuple[str, int]) -> None:
    hanging, ended = threading.Event(), threading.Event()

    def hang() -> bytes:
        with socket.create_connection(peer) as client:
            hanging.set()
            return client.recv(1)

    stuck = threading.Thread(target=lambda: (opening(peer, hang, 5), ended.set()))
    stuck.start()
    assert hanging.wait(30)
    with pytest.raises(TimedOut):
        opening(peer, lambda: None, 0.05)
    assert ended.wait(30)
    assert opening(peer, lambda: "free", 5)[0] == "free"
    stuck.join()


def test_no_line_is_found_where_no_connection_was_made(peer: tuple[str, int]) -> None:
    assert opening(peer, lambda: None, 5) == (None, None)
