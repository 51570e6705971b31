"""A page's live socket without a browser: for connections that are cut a thousand times, or not read."""

import base64
import json
import os
import re
import socket
import ssl
import struct
import time
from typing import Any, Self

from tests.chaos.panel import Panel

_LINE = re.compile(r'id="line-(\d+)"')
_TEXT, _CLOSE = 1, 8


class Ended(Exception):
    """The server ended the socket."""


class LiveSocket:
    """One websocket to /live/ with the session of a signed-in panel; it reads only when it is asked to."""

    def __init__(self, panel: Panel, *, receive_buffer: int = 0, timeout: float = 60) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(timeout)
        raw.connect(("127.0.0.1", panel.port))
        self.port = raw.getsockname()[1]
        self._socket = context.wrap_socket(raw, server_hostname="localhost")
        self._got = b""
        self._shake_hands(panel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()

    def subscribe(self, topic: str, after: int = 0) -> None:
        text = json.dumps({"type": "subscribe", "topic": topic, "after": after}).encode()
        mask = os.urandom(4)
        assert len(text) < 126
        self._socket.sendall(
            bytes([0x80 | _TEXT, 0x80 | len(text)]) + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
        )

    def news(self, timeout: float = 60) -> dict[str, Any]:
        """The next message that is no beat; TimeoutError when none comes in time, Ended when the server ended it."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            kind, payload = self._frame()
            if kind == _CLOSE:
                raise Ended(payload)
            message = json.loads(payload) if kind == _TEXT else {"type": "beat"}
            if message["type"] != "beat":
                return dict(message)
        raise TimeoutError(f"no news within {timeout} s")

    def cut(self) -> None:
        """End it as a broken line does: no goodbye, the server's next packet is answered with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _shake_hands(self, panel: Panel) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in panel.cookies.items())
        lines = [
            "GET /live/ HTTP/1.1",
            f"Host: localhost:{panel.port}",
            f"Origin: https://localhost:{panel.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Cookie: {cookies}",
        ]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self._got:
            self._more()
        answer, _, self._got = self._got.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer

    def _frame(self) -> tuple[int, bytes]:
        """Kind and payload of the next frame; the server neither masks nor splits them."""
        first, length = self._take(2)
        if length == 126:
            [length] = struct.unpack("!H", self._take(2))
        elif length == 127:
            [length] = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._got) < count:
            self._more()
        taken, self._got = self._got[:count], self._got[count:]
        return taken

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise Ended("the connection was closed")
        self._got += data


class Follower:
    """A page that follows one task over as many connections as it takes; it keeps the ids of all lines it was sent."""

    def __init__(self, panel: Panel, task: int) -> None:
        self._panel, self._topic = panel, f"task:{task}"
        self.rev = 0
        self.lines: list[int] = []
        self.final = False

    def connect(self, **options: Any) -> LiveSocket:
        live = LiveSocket(self._panel, **options)
        live.subscribe(self._topic, self.rev)
        return live

    def take(self, live: LiveSocket, timeout: float = 60) -> int:
        """Receive one update; how many lines came with it."""
        message = live.news(timeout)
        assert message["type"] == "update", message
        came = [int(found) for found in _LINE.findall(message["html"])]
        self.lines += came
        self.rev, self.final = message["rev"], message["final"]
        return len(came)

    def assert_complete(self, expected: list[int]) -> None:
        """Nothing lost, doubled or reordered."""
        assert len(self.lines) == len(set(self.lines)), "lines were sent twice"
        assert set(self.lines) == set(expected), f"{len(set(expected) - set(self.lines))} lines were lost"
        assert self.lines == expected, "lines came in another order"
