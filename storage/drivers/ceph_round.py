"""One round of commands over a handle. Lives on a worker thread: what it returns is plain data."""

import json
import math
import time
from typing import Any

import rados

from infrastructure.drivers.errors import DriverError, TimedOut
from storage.drivers.ceph_errors import CHECK_MONITORS, failure, translating


class Round:
    """Asks and tells the monitors and the manager. Every method raises DriverError.

    ``until``: when its caller gives it up (time.monotonic). From then on it changes nothing more: when the cluster
    answers again, somebody repeats it or takes it back.
    """

    def __init__(self, handle: "rados.Rados", where: str, until: float = math.inf) -> None:
        self.handle = handle
        self.where = where
        self._until = until

    def check(self) -> None:
        """TimedOut when its time is over; before each change."""
        if time.monotonic() > self._until:
            raise TimedOut(f"{self.where} answered too late", code="deadline", component="ceph", advice=CHECK_MONITORS)

    def ask(self, command: str, **words: object) -> Any:
        """The monitors' answer to a command, as read from JSON."""
        return self._read(command, self._send(self.handle.mon_command, command, words))

    def ask_one(self, command: str, **words: object) -> dict[str, Any]:
        """The same, where an object is expected; {} when the answer is none."""
        found = self.ask(command, **words)
        return found if isinstance(found, dict) else {}

    def ask_manager(self, command: str, **words: object) -> Any:
        """The active manager's answer."""
        return self._read(command, self._send(self.handle.mgr_command, command, words))

    def do(self, command: str, **words: object) -> None:
        """Have the monitors change something."""
        self._send(self.handle.mon_command, command, words)

    def give(self, command: str, data: bytes, **words: object) -> Any:
        """Have the monitors change something that comes with data, such as a secret; their answer."""
        return self._read(command, self._send(self.handle.mon_command, command, words, data))

    def do_by_manager(self, command: str, **words: object) -> None:
        """Have the manager change something."""
        self._send(self.handle.mgr_command, command, words)

    def _send(self, send: Any, command: str, words: dict[str, object], data: bytes = b"") -> bytes:
        self.check()
        with translating(self.where, command):
            number, answer, said = send(json.dumps({"prefix": command, "format": "json", **words}), data)
        if number != 0:
            raise failure(abs(number), _as_text(said), self.where, command)
        return bytes(answer)

    def _read(self, command: str, answer: bytes) -> Any:
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError:
            raise DriverError(
                f"{self.where}: the answer to {command} cannot be read", code="bad-answer", component="ceph"
            ) from None


def _as_text(said: object) -> str:
    # The manager's words come as bytes, the monitors' as text.
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
