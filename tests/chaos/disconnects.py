"""A browser that loses its connection again and again while a log is written, and what it must have in the end.

The story knows neither the server nor the way to it: `connect` gives links to a panel, `write` adds lines to one task's
log. tests/panel runs it against the ASGI application, and it may be run against a panel over the network as well.
"""

import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

_LINE = re.compile(r'id="line-(\d+)" data-seq="(\d+)"')


class Link(Protocol):
    """One connection of one browser."""

    async def subscribe(self, topic: str, after: int) -> None: ...

    async def news(self) -> dict[str, Any]:
        """The next update of the topic; waits for it."""

    async def cut(self, *, politely: bool) -> None:
        """Lose the connection, with or without a closing message."""


Connect = Callable[[], Awaitable[Link]]
Write = Callable[[int], Awaitable[None]]


@dataclass
class Page:
    """What a browser has in its page."""

    after: int = 0
    lines: list[int] = field(default_factory=list)  # the places of the log's lines, in the order in which they came
    doubled: int = 0
    _known: set[str] = field(default_factory=set)

    def take(self, update: dict[str, Any]) -> None:
        """Append what is new, as the page's script does."""
        self.after = update["rev"]
        for row, seq in _LINE.findall(update["html"]):
            if row in self._known:
                self.doubled += 1
                continue
            self._known.add(row)
            self.lines.append(int(seq))


async def ride_out(
    connect: Connect, write: Write, topic: str, *, lines: int, disconnects: int, dice: random.Random
) -> Page:
    """Have `lines` lines written while the browser is disconnected so many times; returns what it has at the end.

    Each connection lives for a random number of updates, also none; some end without a word.
    """
    page = Page()
    each = lines // disconnects
    for turn in range(disconnects):
        link = await connect()
        await link.subscribe(topic, page.after)
        await write(each if turn < disconnects - 1 else lines - each * (disconnects - 1))
        for _ in range(dice.choice((0, 0, 1, 1, 2))):
            if len(page.lines) == (turn + 1) * each:
                break
            page.take(await link.news())
        await link.cut(politely=dice.random() < 0.5)
    link = await connect()
    await link.subscribe(topic, page.after)
    while len(page.lines) < lines:
        page.take(await link.news())
    await link.cut(politely=True)
    return page


def complaints(page: Page, lines: int) -> list[str]:
    """What is wrong with a page that should have so many lines; nothing when all is well."""
    found = []
    if len(page.lines) != lines:
        found.append(f"{len(page.lines)} of {lines} lines arrived")
    if page.doubled:
        found.append(f"{page.doubled} lines came twice")
    if page.lines != sorted(page.lines):
        found.append("lines came out of order")
    if page.lines and page.lines[-1] - page.lines[0] + 1 != len(page.lines):
        found.append("the places of the lines have gaps")
    return found
