"""Pokes: "topic T changed, its revision is R". They carry no data; whoever is poked reads the database.

`poke` never blocks and never raises, whatever Redis does: a running task must not notice. A daemon thread publishes
over the channel layer and keeps only the newest revision of each topic. A lost poke costs at most the 5 s until sockets
look by themselves.
"""

import asyncio
import atexit
import os
import threading
import time
import uuid
from collections.abc import Callable

import structlog
from channels.layers import InMemoryChannelLayer, get_channel_layer

from panel.live.registry import group_name

log = structlog.get_logger("mooring.live")
PACE_SECONDS = 0.004
PUBLISH_SECONDS = 1.0  # then the publish counts as failed
PAUSES = (0.2, 0.5, 1.0, 2.0)  # after that many failures in a row nothing is tried for so long
MOST_TOPICS = 10_000
Listener = Callable[[str, int], None]


class Publisher:
    """The thread and the newest revision of each topic that is still to be published."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start afresh; the child of a fork has no thread and must not use its parent's connection."""
        self.sender = uuid.uuid4().hex
        self._waiting: dict[str, int] = {}
        self._busy = False
        self._failures = 0
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def add(self, topic: str, rev: int) -> None:
        with self._changed:
            if len(self._waiting) >= MOST_TOPICS and topic not in self._waiting:
                return  # Redis has been away for long; sockets look by themselves
            known = topic in self._waiting
            self._waiting[topic] = max(rev, self._waiting.get(topic, rev))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="live-poke", daemon=True)
                self._thread.start()
            if not known:  # otherwise the thread was told and has not come to it yet
                self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is published; False when it was not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._waiting))
                    batch, self._waiting, self._busy = self._waiting, {}, True
                failed = runner.run(self._publish(batch))
                with self._changed:
                    for topic, rev in failed.items():
                        self._waiting[topic] = max(rev, self._waiting.get(topic, rev))
                    self._busy = False
                    self._changed.notify_all()
                # A flood of pokes is coalesced instead of taking the time of the thread that does the work.
                time.sleep(PACE_SECONDS)
                if failed:
                    time.sleep(PAUSES[min(self._failures, len(PAUSES)) - 1])

    async def _publish(self, batch: dict[str, int]) -> dict[str, int]:
        """Publish; what could not be comes back. The first failure ends the round: the rest would fail too."""
        layer = get_channel_layer()
        if layer is None or isinstance(layer, InMemoryChannelLayer):
            return {}  # nobody beyond this process listens there
        for topic in list(batch):
            message = {"type": "live.poke", "topic": topic, "rev": batch[topic], "sender": self.sender}
            try:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await layer.group_send(group_name(topic), message)
            except Exception as error:
                self._failures += 1
                if self._failures == 1:
                    log.warning("pokes cannot be published; pages look for news every 5 s", error=str(error))
                return batch
            del batch[topic]
        if self._failures:
            log.info("pokes are published again", failures=self._failures)
            self._failures = 0
        return {}


publisher = Publisher()
_listeners: tuple[Listener, ...] = ()  # replaced, never changed: other threads walk it


def listen(listener: Listener) -> None:
    """Have the pokes of this process delivered at once, also without Redis; called in the poking thread."""
    global _listeners
    _listeners = (*_listeners, listener)


def unlisten(listener: Listener) -> None:
    """Stop delivering."""
    global _listeners
    _listeners = tuple(each for each in _listeners if each != listener)


def poke(topic: str, rev: int) -> None:
    """Say that a topic has news; call it in `transaction.on_commit`. Returns at once and never raises."""
    for deliver in (*_listeners, publisher.add):
        try:
            deliver(topic, rev)
        except Exception as error:
            log.warning("a poke was not delivered", topic=topic, error=str(error))


def flush(timeout: float = 1.0) -> bool:
    """Wait until this process's pokes are published (tests, end of the process); False when they were not in time."""
    return publisher.flush(timeout)


def _in_child() -> None:
    global _listeners
    _listeners = ()
    publisher.reset()


os.register_at_fork(after_in_child=_in_child)
atexit.register(flush, 0.3)
