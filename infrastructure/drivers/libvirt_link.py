"""A few connections to one driver of one node, used as one: a slow call does not hold up the others."""

import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt

from infrastructure.drivers.base import Endpoint, remaining
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_connection import Connection, Registration

T = TypeVar("T")
MAX_CONNECTIONS = 4


class Link:
    """Thread-safe.  Opens a second connection only while the first is busy."""

    def __init__(self, endpoint: Endpoint, kind: VEKind) -> None:
        self.endpoint = endpoint
        self.kind = kind
        self._connections = [Connection(endpoint, kind)]
        self._lock = threading.Lock()

    def call(
        self, fn: "Callable[[libvirt.virConnect], T]", *, deadline: float | None = None, doing: str = "answer"
    ) -> T:
        """Run ``fn(connection)`` with a deadline in seconds (default: see ``base.remaining``); see Connection.call."""
        return self._choose().call(fn, seconds=remaining(deadline), doing=doing)

    def register(
        self,
        fn: "Callable[[libvirt.virConnect], Callable[[], None]]",
        lost: Callable[[str], None],
        *,
        doing: str,
    ) -> Registration:
        """Register something on the first connection; see Connection.register."""
        return self._connections[0].register(fn, lost, seconds=remaining(), doing=doing)

    def separate(self) -> Connection:
        """A connection for one long call; its user drops it."""
        return Connection(self.endpoint, self.kind)

    def drop(self) -> None:
        """Give all connections up without waiting for the node."""
        for connection in tuple(self._connections):
            connection.drop()

    def _choose(self) -> Connection:
        with self._lock:
            for connection in self._connections:
                if connection.idle:
                    return connection
            if len(self._connections) < MAX_CONNECTIONS:
                self._connections.append(Connection(self.endpoint, self.kind))
            else:
                self._connections.append(self._connections.pop(1))  # in turn, but the first stays first
            return self._connections[-1]
