"""One subscriber of the channel layer for all sockets of an event loop.

The layer keeps joined groups over a restart of Redis, but a join that fails while Redis is away is not repeated by it:
the hub repeats it every second. Sockets never wait for Redis: they look by themselves every 5 s.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer

from panel.live import poke
from panel.live.registry import group_name

log = structlog.get_logger("mooring.live")
LAYER_SECONDS = 1.0
RETRY_SECONDS = 1.0
Wake = Callable[[], None]


class Hub:
    """Topic → the sockets to wake. Lives in its event loop; runs while a socket follows anything."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakes: dict[str, set[Wake]] = {}
        self._joined: set[str] = set()
        self._lock = asyncio.Lock()
        self._channel = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._away = False
        self._pokes: Counter[str] = Counter()

    def pokes(self, topic: str) -> int:
        """How often the topic was poked while somebody followed it: what was read after the last one is new enough."""
        return self._pokes[topic]

    async def join(self, topic: str, wake: Wake) -> None:
        """Have `wake` called at each poke. Returns once the group is joined, or after 1 s: then that is retried."""
        self._wakes.setdefault(topic, set()).add(wake)
        if not self._tasks:
            self._loop = asyncio.get_running_loop()
            self._channel = f"live.hub.{uuid.uuid4().hex}"
            poke.listen(self._from_thread)
            self._tasks = [asyncio.create_task(self._receive(self._channel)), asyncio.create_task(self._mend())]
        await self._settle(topic)

    async def leave(self, topic: str, wake: Wake) -> None:
        """Stop calling `wake`."""
        wakes = self._wakes.get(topic, set())
        wakes.discard(wake)
        if not wakes:
            self._wakes.pop(topic, None)
            self._pokes.pop(topic, None)
        if not self._wakes:
            await self._stop()
        else:
            await self._settle(topic)

    async def _settle(self, topic: str) -> bool:
        """Join or leave the topic's group as its followers demand; False when the layer did not do it."""
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(LAYER_SECONDS), self._lock:
                wanted = topic in self._wakes
                if layer is None or wanted == (topic in self._joined):
                    return True
                if wanted:
                    # The layer learns of the channel in the receiver's first step, and must know it to join a group;
                    # of several topics that are followed at once any may come here before it.
                    await asyncio.sleep(0)
                    await layer.group_add(group_name(topic), self._channel)
                    self._joined.add(topic)
                else:
                    self._joined.discard(topic)
                    await layer.group_discard(group_name(topic), self._channel)
        except Exception as error:
            if not self._away:
                log.warning("pokes cannot be received; sockets look for news every 5 s", error=str(error))
            self._away = True
            return False
        if self._away:
            log.info("pokes are received again")
        self._away = False
        return True

    async def _mend(self) -> None:
        """Join what could not be joined when it was asked for."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            for topic in set(self._wakes) - self._joined:
                if await self._settle(topic):
                    self._wake(topic)
                else:
                    break

    async def _receive(self, channel: str) -> None:
        """Pass the pokes of other processes on."""
        layer = get_channel_layer()
        while layer is not None:
            try:
                message = await layer.receive(channel)
            except Exception as error:
                # Without Redis the layer cannot subscribe to the channel's own name. Nobody sends to it: groups count.
                log.debug("the channel layer did not deliver", error=str(error))
                await asyncio.sleep(0.05)
                continue
            if message.get("sender") != poke.publisher.sender:
                self._wake(str(message.get("topic", "")))

    def _wake(self, topic: str) -> None:
        if topic in self._wakes:
            self._pokes[topic] += 1
        for wake in tuple(self._wakes.get(topic, ())):
            wake()

    def _from_thread(self, topic: str, rev: int) -> None:
        loop = self._loop
        with suppress(RuntimeError):  # the loop was closed
            if loop is not None:
                loop.call_soon_threadsafe(self._wake, topic)

    async def _stop(self) -> None:
        poke.unlisten(self._from_thread)
        self._loop = None
        tasks, self._tasks = self._tasks, []
        joined, self._joined, channel = self._joined, set(), self._channel
        layer = get_channel_layer()
        with suppress(Exception):
            async with asyncio.timeout(LAYER_SECONDS):
                for topic in joined:
                    await layer.group_discard(group_name(topic), channel)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=LAYER_SECONDS)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
