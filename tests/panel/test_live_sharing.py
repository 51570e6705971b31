"""A topic that many pages follow is read once for all of them, and never too early for any."""

import asyncio
import threading
from collections.abc import Hashable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from panel.accounts.models import RoleBinding, User
from panel.live import consumer, registry
from panel.live.poke import poke
from panel.live.registry import Update
from panel.live.warm import compile_templates
from tests.panel.live_helpers import Browser, session_of

pytestmark = pytest.mark.django_db(transaction=True)


class Feed:
    """A shared topic; `hold` keeps a read from returning what it has read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.reads: list[tuple[Hashable, int, Any]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def variant(self, user: User, subject: object | None) -> Hashable:
        return user.username.removesuffix("2")

    def shared(self, variant: Hashable, key: str, after: int, mark: Any) -> Update | None:
        news = self.lines[after:]
        rev = len(self.lines)
        self.reads.append((variant, after, mark))
        self.go_on.wait(5)
        return Update(rev, html=" ".join(news), data={"for": variant}, mark=f"mark {rev}") if news else None

    def read(self, user: User, key: str, after: int) -> Update | None:
        raise AssertionError("a shared topic is read by `shared`")


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    known = dict(registry._topics)
    feed = Feed()
    registry._topics["feed"] = registry.Topic("feed", "task.view", feed.read, variant=feed.variant, shared=feed.shared)
    monkeypatch.setattr(consumer, "POLL_SECONDS", 60)
    yield feed
    feed.go_on.set()
    registry._topics.clear()
    registry._topics.update(known)


async def following(*users: User) -> list[Browser]:
    """Browsers that follow the topic and have had what it has."""
    browsers = []
    for user in users:
        browser = Browser((await sync_to_async(session_of)(user)).session_key)
        assert await browser.connect()
        browser.subscribe("feed")
        browsers.append(browser)
    await asyncio.gather(*(browser.news() for browser in browsers))
    return browsers


async def test_twenty_pages_cost_one_read(feed: Feed, viewer: User) -> None:
    feed.lines.append("one")
    browsers = await following(*[viewer] * 20)
    feed.reads.clear()

    feed.lines.append("two")
    await sync_to_async(poke)("feed", 2)

    assert [(await browser.news())["html"] for browser in browsers] == ["two"] * 20
    assert feed.reads == [("viewer", 1, "mark 1")]
    for browser in browsers:
        await browser.disconnect()


async def test_users_with_other_rights_do_not_share(feed: Feed, viewer: User, operator: User, make_user: Any) -> None:
    second = await sync_to_async(make_user)("viewer2", "viewer")
    feed.lines.append("one")
    browsers = await following(viewer, second, operator)
    feed.reads.clear()

    feed.lines.append("two")
    await sync_to_async(poke)("feed", 2)

    assert [(await browser.news())["data"]["for"] for browser in browsers] == ["viewer", "viewer", "operator"]
    assert sorted(variant for variant, _, _ in feed.reads) == ["operator", "viewer"]
    for browser in browsers:
        await browser.disconnect()


async def test_who_is_poked_while_a_read_is_under_way_reads_again(feed: Feed, viewer: User) -> None:
    feed.lines.append("one")
    first, second = await following(viewer, viewer)

    feed.go_on.clear()
    feed.lines.append("two")
    await sync_to_async(poke)("feed", 2)
    while len(feed.reads) < 2 or feed.reads[-1][1] != 1:
        await asyncio.sleep(0.01)
    feed.lines.append("three")  # the read under way has not seen it
    await sync_to_async(poke)("feed", 3)
    feed.go_on.set()

    for browser in (first, second):
        got = (await browser.news())["html"].split()
        while got[-1] != "three":
            got += (await browser.news())["html"].split()
        assert got == ["two", "three"]
        await browser.disconnect()


async def test_a_page_that_leaves_in_the_middle_of_a_read_leaves_it_to_the_others(feed: Feed, viewer: User) -> None:
    feed.lines.append("one")
    first, second = await following(viewer, viewer)

    feed.go_on.clear()
    feed.lines.append("two")
    await sync_to_async(poke)("feed", 2)
    while feed.reads[-1][1] != 1:
        await asyncio.sleep(0.01)
    leaving = asyncio.create_task(first.disconnect())
    await asyncio.sleep(0.05)
    feed.go_on.set()

    assert (await second.news())["html"] == "two"
    await leaving
    await second.disconnect()


async def test_a_revoked_right_ends_a_shared_subscription_within_a_second(feed: Feed, viewer: User) -> None:
    feed.lines.append("one")
    [browser] = await following(viewer)
    await RoleBinding.objects.filter(user=viewer).adelete()

    await asyncio.sleep(consumer.ACCESS_SECONDS)
    feed.lines.append("two")
    await sync_to_async(poke)("feed", 2)

    assert (await browser.news())["type"] == "denied"
    await browser.disconnect()


async def test_a_read_that_fails_is_not_kept(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_SECONDS", 0.3)
    outcomes = iter([RuntimeError("a bug")])
    shared = feed.shared

    def fails_once(variant: Hashable, key: str, after: int, mark: Any) -> Update | None:
        for error in outcomes:
            raise error
        return shared(variant, key, after, mark)

    registry._topics["feed"] = registry.Topic("feed", "task.view", feed.read, variant=feed.variant, shared=fails_once)
    feed.lines.append("one")
    [browser] = await following(viewer)
    await browser.disconnect()


def test_every_declared_template_compiles() -> None:
    compile_templates()
