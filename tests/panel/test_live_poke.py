"""Pokes never hold up or fail whoever pokes, and reach the sockets over a real Redis, also after it was away."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import get_channel_layer

from panel.live import poke as pokes
from panel.live.hub import hub
from panel.live.poke import Publisher, flush, poke
from panel.live.registry import group_name
from tests.waiting import eventually


class Redis:
    """A redis-server of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir"]
        self.process = subprocess.Popen([*argv, str(self.socket.parent)], stdout=subprocess.DEVNULL)
        eventually(self.socket.exists)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)


@pytest.fixture
def redis(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    server = Redis(tmp_path)
    url = f"unix://{server.socket}"
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [url]}}
    }
    monkeypatch.setattr(pokes, "publisher", Publisher())
    yield server
    server.stop()


class Follower:
    """Something that follows a topic, as a socket does, but hears other processes only."""

    def __init__(self, topic: str) -> None:
        self.topic, self.woken = topic, asyncio.Event()

    async def __aenter__(self) -> "Follower":
        await hub().join(self.topic, self.woken.set)
        pokes.unlisten(hub()._from_thread)
        return self

    async def __aexit__(self, *args: object) -> None:
        await hub().leave(self.topic, self.woken.set)

    async def hears(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.woken.wait(), seconds)
        except TimeoutError:
            return False
        self.woken.clear()
        return True


async def send_from_another_process(topic: str) -> None:
    message = {"type": "live.poke", "topic": topic, "rev": 1, "sender": "another"}
    await get_channel_layer().group_send(group_name(topic), message)


async def test_a_poke_reaches_another_process_over_redis(redis: Redis, settings: Any) -> None:
    redis.start()
    script = (
        "import django; django.setup(); from panel.live.poke import poke, flush; poke('feed:7', 3); "
        "raise SystemExit(0 if flush(30) else 1)"
    )
    async with Follower("feed:7") as follower:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "panel.settings",
            "MOORING_REDIS_URL": f"unix://{redis.socket}",
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=environment)
        assert await follower.hears(60)
        assert await process.wait() == 0


async def test_sockets_hear_pokes_again_after_redis_was_away(redis: Redis) -> None:
    redis.start()
    async with Follower("feed:1") as early:
        redis.stop()
        await asyncio.sleep(0.3)
        async with Follower("feed:2") as late:  # follows while Redis is away
            redis.start()
            deadline = time.monotonic() + 60
            heard: set[str] = set()
            while len(heard) < 2 and time.monotonic() < deadline:
                for follower in (early, late):
                    await send_from_another_process(follower.topic)
                    if await follower.hears(0.2):
                        heard.add(follower.topic)

    assert heard == {"feed:1", "feed:2"}


def test_a_poke_made_while_redis_was_away_is_published_when_it_is_back(redis: Redis) -> None:
    poke("feed:1", 1)
    assert not flush(0.3)

    redis.start()

    assert flush(30)


@pytest.mark.parametrize("state", ["dead", "frozen"])
def test_poking_returns_at_once_whatever_redis_does(redis: Redis, state: str) -> None:
    if state == "frozen":
        redis.start()
        assert redis.process is not None
        os.kill(redis.process.pid, 19)
    started = time.monotonic()

    for rev in range(1000):
        poke("task:1", rev)

    assert time.monotonic() - started < 10
    assert not flush(0.2)
    assert len(pokes.publisher._waiting) <= 1, "revisions of one topic are not coalesced"


def test_what_waits_for_redis_is_bounded(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pokes, "MOST_TOPICS", 50)

    for number in range(200):
        poke(f"task:{number}", 1)

    assert len(pokes.publisher._waiting) <= 100


def test_a_dead_redis_is_not_asked_all_the_time(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, rounds = pokes.publisher, []
    publish = publisher._publish

    async def counting(batch: dict[str, int]) -> dict[str, int]:
        rounds.append(1)
        return await publish(batch)

    monkeypatch.setattr(publisher, "_publish", counting)
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        poke("task:1", 1)
        time.sleep(0.01)

    assert len(rounds) <= 4


def test_poking_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(topic: str, rev: int) -> None:
        raise RuntimeError("the event loop is closed")

    pokes.listen(broken)
    try:
        poke("task:1", 1)
    finally:
        pokes.unlisten(broken)


def test_a_forked_worker_publishes_with_a_thread_of_its_own(redis: Redis) -> None:
    redis.start()
    poke("task:1", 1)
    assert flush(30)

    child = os.fork()
    if child == 0:
        pokes.publisher.reset()  # the fixture's one; the module's own is reset by the fork itself
        poke("task:1", 2)
        os._exit(0 if flush(30) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
