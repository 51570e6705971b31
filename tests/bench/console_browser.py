"""A browser of consoles that does nothing but count bytes, so that the client's own work is next to none."""

import base64
import json
import os
import socket
import ssl
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from infrastructure.models import VE
from infrastructure.services.console import issue_ticket
from panel.accounts.models import RoleBinding, User
from tests.panel.live_helpers import session_of


class Websocket:
    """One connection over TLS, upgraded."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self._upgrade(port, path, headers)

    def _upgrade(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        nonce = base64.b64encode(os.urandom(16)).decode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n"
                f"{extra}\r\n"
            ).encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(1)
        assert b" 101 " in answer, answer

    def send(self, data: bytes, opcode: int = 2) -> None:
        """One frame, masked with zeros as the protocol allows; short of 64 KiB."""
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + struct.pack("!H", len(data))
        self.socket.sendall(bytes([0x80 | opcode]) + size + bytes(4) + data)

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame, short of 64 KiB."""
        head = self.exactly(2)
        size = head[1]
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        return head[0] & 15, self.exactly(size)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return data

    def swallow(self, count: int) -> None:
        """Take so many bytes, frame heads included, and forget them."""
        room = bytearray(1 << 20)
        while count > 0:
            count -= self.socket.recv_into(room)

    def close(self) -> None:
        self.socket.close()


def through_the_panel(display: str) -> Websocket:
    """The console of a VE whose name is that of its display; the ticket is redeemed, the display connected."""
    user, _ = User.objects.get_or_create(username="bench")
    RoleBinding.objects.get_or_create(user=user, role="administrator")
    ve, _ = VE.objects.get_or_create(name=display, defaults={"uuid": uuid.uuid4(), "kind": "vm", "state": "running"})
    key = session_of(user).session_key or ""
    ticket = {"ticket": issue_ticket(user=user, session_key=key, ve=ve), "ve": ve.pk}
    cookie = f"{settings.SESSION_COOKIE_NAME}={key}"
    headers = {"Origin": settings.ALLOWED_ORIGINS[0], "Cookie": cookie}
    browser = Websocket(int(os.environ["MOORING_PORT"]), "/console/", headers)
    browser.send(json.dumps(ticket).encode(), opcode=1)
    kind, ready = browser.frame()
    assert (kind, json.loads(ready)["type"]) == (1, "ready"), ready
    return browser


def through_websockify(display: str) -> Websocket:
    """The display behind websockify."""
    port = int(Path(os.environ["MOORING_VAR"], f"websockify-{display}.port").read_text())
    return Websocket(port, "/websockify", {"Origin": f"https://localhost:{port}"})
