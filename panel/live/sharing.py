"""One read for all pages that want the same news.

Many pages follow a running task, and all of them are poked at once. Those that ask for the same topic, revision and
rights after the same poke share one read and its encoded message. A read is never given to a page that was poked after
it began: the number of pokes is part of what it is asked by.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from panel.live.registry import Update

FRESH_SECONDS = 0.5  # a page that looks by itself, without a poke, wants to read anew
MOST_KEPT = 32


@dataclass(frozen=True, slots=True)
class News:
    """An update, and the message it is sent as."""

    update: Update
    text: str


@dataclass(slots=True)
class Kept:
    """A read under way or just done."""

    at: float
    news: "asyncio.Task[News | None]"


class Sharing:
    """The last reads of an event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    async def read(self, key: Hashable, make: Callable[[], Awaitable[News | None]]) -> News | None:
        """The news that `key` asks for, made once. A failure is everybody's and is not kept."""
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is None or now - kept.at > FRESH_SECONDS:
            kept = Kept(now, asyncio.ensure_future(make()))
            self._kept[key] = kept
            kept.news.add_done_callback(lambda done: self._forget_failure(key, done))
        self._drop(now)
        # Shielded: the page that asked first may leave while others wait.
        return await asyncio.shield(kept.news)

    def _drop(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if len(self._kept) <= MOST_KEPT and now - oldest.at <= FRESH_SECONDS:
                return
            self._kept.popitem(last=False)

    def _forget_failure(self, key: Hashable, done: "asyncio.Task[News | None]") -> None:
        if done.cancelled() or done.exception() is not None:
            kept = self._kept.get(key)
            if kept is not None and kept.news is done:
                del self._kept[key]


def encoded(topic: str, update: Update) -> News:
    """The update with the message that tells it."""
    message = {"type": "update", "topic": topic, "rev": update.rev, "html": update.html, "data": update.data}
    return News(update, json.dumps({**message, "final": update.final}, separators=(",", ":")))


_sharings: WeakKeyDictionary[asyncio.AbstractEventLoop, Sharing] = WeakKeyDictionary()


def sharing() -> Sharing:
    """The reads of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _sharings:
        _sharings[loop] = Sharing()
    return _sharings[loop]
