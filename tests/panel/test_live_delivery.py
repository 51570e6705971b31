"""What a page receives over the live socket, and what it must not receive."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord
from panel.live import consumer, registry, wire
from panel.live.poke import poke
from panel.live.registry import Update, group_name
from tests.panel.live_helpers import Browser, session_of
from tests.waiting import soon

pytestmark = pytest.mark.django_db(transaction=True)


class Feed:
    """A topic whose news the test writes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.reads = 0

    def add(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    def read(self, user: User, key: str, after: int) -> Update | None:
        news = self.lines[after:]
        self.reads += 1  # last: who waits for it may write
        return Update(len(self.lines), html=" ".join(news), data={"key": key, "for": user.username}) if news else None


class Part:
    """An object of the tree, for scoped rights."""

    def __init__(self, number: int) -> None:
        self.pk = number

    def scopes(self) -> set[tuple[str, int]]:
        return {("node", self.pk)}


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    known = dict(registry._topics)
    feed = Feed()
    registry._topics["feed"] = registry.Topic("feed", "task.view", feed.read)
    registry._topics["secret"] = registry.Topic("secret", "audit.view", feed.read)
    registry._topics["part"] = registry.Topic("part", "ve.operate", feed.read, lambda key: Part(int(key)))
    monkeypatch.setattr(consumer, "POLL_SECONDS", 0.5)
    yield feed
    registry._topics.clear()
    registry._topics.update(known)


async def connect(user: User) -> Browser:
    session = await sync_to_async(session_of)(user)
    browser = Browser(session.session_key)
    assert await browser.connect()
    return browser


async def test_it_reads_what_came_before_the_subscription(feed: Feed, viewer: User) -> None:
    feed.add("one")
    browser = await connect(viewer)
    browser.subscribe("feed:7")

    news = await browser.news()

    assert news == {
        "type": "update",
        "topic": "feed:7",
        "rev": 1,
        "html": "one",
        "data": {"key": "7", "for": "viewer"},
        "final": False,
    }
    await browser.disconnect()


async def test_it_sends_only_what_comes_after_the_known_revision(feed: Feed, viewer: User) -> None:
    feed.add("one")
    feed.add("two")
    browser = await connect(viewer)
    browser.subscribe("feed", after=1)

    assert (await browser.news())["html"] == "two"
    assert await browser.is_silent(0.2)
    await browser.disconnect()


async def test_a_poke_brings_the_news_at_once(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_SECONDS", 60)
    browser = await connect(viewer)
    browser.subscribe("feed:7")
    await asyncio.sleep(0.2)

    await sync_to_async(poke)("feed:7", feed.add("one"))

    assert (await browser.news())["html"] == "one"
    await browser.disconnect()


async def test_a_poke_of_another_process_brings_the_news(
    feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "POLL_SECONDS", 60)
    browser = await connect(viewer)
    browser.subscribe("feed:7")
    await asyncio.sleep(0.2)

    feed.add("one")
    await get_channel_layer().group_send(group_name("feed:7"), {"type": "live.poke", "topic": "feed:7", "rev": 1})

    assert (await browser.news())["html"] == "one"
    await browser.disconnect()


async def test_a_lost_poke_costs_no_more_than_the_poll(feed: Feed, viewer: User) -> None:
    browser = await connect(viewer)
    browser.subscribe("feed")
    await asyncio.sleep(0.2)

    feed.add("nobody pokes")

    assert (await browser.news())["html"] == "nobody pokes"
    await browser.disconnect()


async def test_a_thousand_lines_arrive_once_and_in_order(feed: Feed, viewer: User) -> None:
    browser = await connect(viewer)
    browser.subscribe("feed")
    for number in range(1000):
        await sync_to_async(poke)("feed", feed.add(str(number)))

    got: list[str] = []
    while len(got) < 1000:
        got += (await browser.news())["html"].split()

    assert got == [str(number) for number in range(1000)]
    await browser.disconnect()


async def test_other_topics_are_not_delivered(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_SECONDS", 60)
    browser = await connect(viewer)
    browser.subscribe("feed:7", after=1)
    await soon(lambda: feed.reads)

    reads = feed.reads
    await sync_to_async(poke)("feed:8", feed.add("for another page"))

    assert await browser.is_silent(0.2)
    assert feed.reads == reads
    await browser.disconnect()


async def test_nothing_comes_after_unsubscribing(feed: Feed, viewer: User) -> None:
    browser = await connect(viewer)
    browser.subscribe("feed")
    browser.say_json({"type": "unsubscribe", "topic": "feed"})
    await asyncio.sleep(0.1)

    await sync_to_async(poke)("feed", feed.add("one"))

    assert await browser.is_silent(0.8)
    await browser.disconnect()


async def test_a_topic_without_the_right_is_denied_and_audited(feed: Feed, viewer: User) -> None:
    feed.add("for administrators")
    browser = await connect(viewer)
    browser.subscribe("secret")

    news = await browser.news()

    assert (news["type"], news["topic"]) == ("denied", "secret")
    await sync_to_async(poke)("secret", feed.add("more"))
    assert await browser.is_silent()
    assert (await AuditRecord.objects.aget(action="live.subscribe")).result == "refused"
    await browser.disconnect()


async def test_a_right_to_one_part_opens_no_other(feed: Feed, make_user: Any) -> None:
    feed.add("one")
    user = await sync_to_async(make_user)("scoped", "operator", scope=("node", 1))
    browser = await connect(user)

    browser.subscribe("part:1")
    assert (await browser.news())["type"] == "update"
    browser.subscribe("part:2")
    assert (await browser.news())["type"] == "denied"
    await browser.disconnect()


@pytest.mark.parametrize("topic", ["nothing", "feed:", "feed:a b", "feed:../x", "", "Feed", "feed:1:2"])
async def test_an_unknown_topic_is_denied(feed: Feed, viewer: User, topic: str) -> None:
    browser = await connect(viewer)
    browser.subscribe(topic)

    assert (await browser.news())["type"] == "denied"
    await browser.disconnect()


async def test_a_revoked_right_ends_the_subscription(feed: Feed, operator: User) -> None:
    browser = await connect(operator)
    browser.subscribe("part:1")
    await soon(lambda: feed.reads)

    await RoleBinding.objects.filter(user=operator).aupdate(role="viewer")
    feed.add("not for viewers")

    assert (await browser.news())["type"] == "denied"
    await browser.disconnect()


async def test_a_stranger_is_told_to_sign_in(feed: Feed) -> None:
    browser = Browser()
    assert await browser.connect()

    assert (await browser.closed())["code"] == 4401


async def test_a_user_without_a_role_is_sent_away(feed: Feed, make_user: Any) -> None:
    user = await sync_to_async(make_user)("nobody")
    browser = await connect(user)

    assert (await browser.closed())["code"] == 4403


@pytest.mark.parametrize("end", ["logout", "deactivate", "new password"])
async def test_the_socket_ends_with_the_session(feed: Feed, viewer: User, end: str) -> None:
    session = await sync_to_async(session_of)(viewer)
    browser = Browser(session.session_key)
    await browser.connect()

    if end == "logout":
        await sync_to_async(session.delete)()
    elif end == "deactivate":
        await User.objects.filter(pk=viewer.pk).aupdate(is_active=False)
    else:
        viewer.set_password("another pass phrase")
        await viewer.asave()

    assert (await browser.closed())["code"] == 4401


async def test_a_reader_that_fails_is_asked_again(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = iter([RuntimeError("a bug"), Update(1, html="one")])

    def read(user: User, key: str, after: int) -> Update | None:
        outcome = next(reads, None)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    registry._topics["feed"] = registry.Topic("feed", "task.view", read)
    browser = await connect(viewer)
    browser.subscribe("feed")

    assert (await browser.news())["html"] == "one"
    await browser.disconnect()


async def test_a_large_topic_comes_in_parts(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "POLL_SECONDS", 60)

    def read(user: User, key: str, after: int) -> Update | None:
        return Update(after + 1, html=str(after + 1), more=after < 4) if after < 5 else None

    registry._topics["feed"] = registry.Topic("feed", "task.view", read)
    browser = await connect(viewer)
    browser.subscribe("feed")

    assert [(await browser.news())["html"] for _ in range(5)] == ["1", "2", "3", "4", "5"]
    await browser.disconnect()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no JSON", 4400),
        ("[]", 4400),
        ('{"type": "steal"}', 4400),
        ('{"type": "subscribe"}', 4400),
        ('{"type": "subscribe", "topic": "feed", "after": "x"}', 4400),
        ('{"type": "subscribe", "topic": "feed", "after": Infinity}', 4400),
        ('{"type": "subscribe", "topic": "' + "x" * 4096 + '"}', 4400),
    ],
)
async def test_a_message_that_makes_no_sense_ends_the_socket(feed: Feed, viewer: User, text: str, code: int) -> None:
    browser = await connect(viewer)
    browser.say(text)

    assert (await browser.closed())["code"] == code


async def test_too_many_topics_end_the_socket(feed: Feed, viewer: User) -> None:
    browser = await connect(viewer)
    for number in range(consumer.MOST_TOPICS + 1):
        browser.subscribe(f"feed:{number}")

    assert (await browser.closed())["code"] == 4429


async def test_a_flood_of_messages_ends_the_socket(feed: Feed, viewer: User) -> None:
    browser = await connect(viewer)
    for _ in range(consumer.BURST + 30):
        browser.say_json({"type": "ping"})

    assert (await browser.closed())["code"] == 4429


async def test_it_beats(feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "BEAT_SECONDS", 0.05)
    browser = await connect(viewer)

    assert '"beat"' in (await browser.raw())["text"]
    await browser.disconnect()


async def test_a_browser_that_stops_reading_is_dropped_and_read_for_no_longer(
    feed: Feed, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.3)
    session = await sync_to_async(session_of)(viewer)
    scope = {"type": "websocket", "path": "/live/", "headers": Browser(session.session_key).scope["headers"]}
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    for number in range(20):
        incoming.put_nowait({"type": "websocket.receive", "text": f'{{"type":"subscribe","topic":"feed:{number}"}}'})
    feed.add("x" * 100_000)
    stuck: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            stuck.append(message)
            await asyncio.Event().wait()

    started = time.monotonic()
    await asyncio.wait_for(consumer.LiveSocket()(scope, incoming.get, send), 60)

    assert time.monotonic() - started < 12
    assert len(stuck) <= 2
    assert feed.reads <= 2 * consumer.READS_AT_ONCE
