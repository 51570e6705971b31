"""What a daemon that hangs up in the handshake is taken for."""

import socket
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings

from infrastructure.drivers.base import Endpoint, Refused, Unreachable
from infrastructure.drivers.tls_probe import probe
from panel.trust import ca


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def hang_up(listener: socket.socket, *, times: int) -> Endpoint:
    """The endpoint of a daemon that hangs up so many times, and then listens no more."""

    def serve() -> None:
        for _ in range(times):
            listener.accept()[0].close()
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return Endpoint("node", "127.0.0.1", tls_port=listener.getsockname()[1], pki_dir=str(settings.PKI_DIR))


def test_a_daemon_that_is_just_ending_is_not_taken_for_one_that_refuses(listener: socket.socket) -> None:
    ca.ensure_panel_certificate()
    with pytest.raises(Unreachable, match="Nothing listens"):
        probe(hang_up(listener, times=1), 5)


def test_a_daemon_that_hangs_up_again_refuses_the_certificate(listener: socket.socket) -> None:
    ca.ensure_panel_certificate()
    with pytest.raises(Refused, match="does not accept the panel's certificate"):
        probe(hang_up(listener, times=2), 5)
