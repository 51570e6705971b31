"""1,000 disconnects over 100,000 lines of a log, through the ASGI application: nothing lost, doubled, reordered."""

import asyncio
import contextlib
import os
import random
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from panel.accounts.models import User
from panel.live import consumer, wire
from panel.live.threads import in_thread
from tasks.models import Task
from tasks.runner import TaskRun
from tests.chaos.disconnects import complaints, ride_out
from tests.panel.live_helpers import Browser, session_of
from tests.tasks.pages import add_line, make_task

pytestmark = pytest.mark.django_db(transaction=True)
LINES, DISCONNECTS = 100_000, 1_000
SEED = int(os.environ.get("MOORING_CHAOS_SEED", "1"))


class AppLink(Browser):
    """A browser's connection to the application itself."""

    async def open(self) -> "AppLink":
        assert await self.connect()
        return self

    async def subscribe(self, topic: str, after: int = 0) -> None:  # type: ignore[override]
        super().subscribe(topic, after)

    async def news(self, timeout: float = 60) -> dict[str, Any]:
        return await super().news(timeout)

    async def cut(self, *, politely: bool) -> None:
        if politely:
            await self.disconnect()
            return
        # The server ends the handler of a connection that broke.
        assert self.task is not None
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_a_thousand_disconnects_lose_double_and_reorder_nothing(viewer: User) -> None:
    task = await sync_to_async(make_task)(attempt=1)
    run = TaskRun(task)
    key = (await sync_to_async(session_of)(viewer)).session_key
    told = iter(range(LINES))

    async def connect() -> AppLink:
        return await AppLink(key).open()

    async def write(count: int) -> None:
        # Two writes of different size, so that updates begin and end anywhere.
        first = random.Random(SEED).randrange(count)
        for part in (first, count - first):
            await in_thread(run.lines, [f"line {next(told)}" for _ in range(part)])

    dice = random.Random(SEED)
    page = await ride_out(connect, write, f"task:{task.pk}", lines=LINES, disconnects=DISCONNECTS, dice=dice)

    assert not complaints(page, LINES), f"seed {SEED}"
    assert await Task.objects.values_list("log_length", flat=True).aget(pk=task.pk) == LINES


async def test_a_browser_that_stops_reading_costs_less_than_four_mib_and_catches_up_later(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.5)
    task = await sync_to_async(make_task)(attempt=1)
    text = "'" * 8000  # each character is six in the page
    for _ in range(400):
        await sync_to_async(add_line)(task, text)
    key = (await sync_to_async(session_of)(viewer)).session_key
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    incoming.put_nowait({"type": "websocket.receive", "text": f'{{"type":"subscribe","topic":"task:{task.pk}"}}'})
    stuck: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            stuck.append(len(message["text"]))
            await asyncio.Event().wait()

    await asyncio.wait_for(consumer.LiveSocket()(Browser(key).scope, incoming.get, send), 120)
    assert stuck
    assert sum(stuck) + consumer.READS_AT_ONCE * max(stuck) < 4 * 1024**2

    link = await AppLink(key).open()
    await link.subscribe(f"task:{task.pk}")
    rows = 0
    while rows < 400:
        rows += (await link.news())["html"].count('data-append="#log-steps"')
    assert rows == 400
    await link.cut(politely=True)
