"""Reconciling nodes side by side: one that hangs keeps no other waiting, and none is reconciled twice at once.

Tasks and the collector come through here, so a node has one turn at a time among all processes of the panel, which run
on one machine.
"""

import fcntl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from django.conf import settings
from django.db import connection

from infrastructure.drivers.base import Conflict
from infrastructure.models import Node

T = TypeVar("T")
AT_ONCE = 8
# Each call on a node has a deadline of its own, but a node may have many datastores that hang.
NODE_SECONDS = 90.0
TURN_SECONDS = 60.0
_LOOK_SECONDS = 0.2


@contextmanager
def turn(node: Node) -> Iterator[None]:
    """Be the only one at the node's datastores; waits up to a minute, then Conflict. It ends with the process, too."""
    settings.RUN_DIR.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + TURN_SECONDS
    with (settings.RUN_DIR / f"datastores-of-node-{node.pk}.lock").open("w") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Conflict(
                        f"Another task or the collector is still at the datastores of {node}",
                        code="busy",
                        component="host",
                        advice="It is tried again when that is over.",
                    ) from None
                time.sleep(_LOOK_SECONDS)
        yield


class Turn(Generic[T]):
    """Work on one node, on a thread that is left behind when it overruns."""

    def __init__(self, node: Node, work: Callable[[Node], T], ended: "SimpleQueue[Turn[T]]") -> None:
        self.node = node
        self.began = time.monotonic()
        self._work, self._ended = work, ended
        self._found: list[T] = []
        self._error: Exception | None = None
        threading.Thread(target=self._run, name=f"datastores-{node.name}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._found.append(self._work(self.node))
        except Exception as error:  # carried to the caller, whatever it is
            self._error = error
        finally:
            connection.close()
            self._ended.put(self)

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._found[0]


def side_by_side(
    nodes: Iterable[Node],
    work: Callable[[Node], T],
    late: Callable[[Node], T],
    *,
    while_waiting: Callable[[], None] = lambda: None,
) -> Iterator[T]:
    """What `work` found of each node, as they end, AT_ONCE at a time; `late(node)` of those that took NODE_SECONDS.

    `while_waiting` is called often, and may raise to stop waiting; what runs then ends by itself.
    """
    left, running = deque(nodes), list[Turn[T]]()
    ended: SimpleQueue[Turn[T]] = SimpleQueue()
    while left or running:
        while_waiting()
        while left and len(running) < AT_ONCE:
            running.append(Turn(left.popleft(), work, ended))
        try:
            over = ended.get(timeout=_LOOK_SECONDS)
        except Empty:
            over = None
        if over in running:
            running.remove(over)
            yield over.result()
        for each in [each for each in running if time.monotonic() - each.began >= NODE_SECONDS]:
            running.remove(each)
            yield late(each.node)
