"""How many monitors answer, asked past librados: it can only tell that time ran out."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from storage.drivers import ceph_quorum
from storage.drivers.ceph_quorum import answering, missing


@contextmanager
def monitor(greeting: bytes) -> Iterator[str]:
    """Something that listens and says this to whoever connects; nothing: as a process that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(greeting)

        if greeting:
            threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceph_quorum, "PROBE_SECONDS", 0.3)


def test_those_that_hang_refuse_or_speak_otherwise_do_not_count() -> None:
    with ExitStack() as stack:
        said = (b"ceph v2\n", b"ceph v027", b"", b"SSH-2.0-OpenSSH\r\n")
        addresses = [stack.enter_context(monitor(each)) for each in said]
        with monitor(b"") as gone:
            pass
        assert answering([*addresses, gone, "no address", "[::1:3300"]) == 2


def test_less_than_most_of_them_is_no_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    words = []
    for up in range(4):
        monkeypatch.setattr(ceph_quorum, "answering", lambda monitors, up=up: up)
        words.append(missing("storage1", ["a", "b", "c"]))
    assert words == [
        "storage1 has no quorum: 0 of 3 monitors answer, and 2 are needed",
        "storage1 has no quorum: 1 of 3 monitors answers, and 2 are needed",
        "",
        "",
    ]
