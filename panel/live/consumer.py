"""The live socket: one websocket a page carries the news of all topics that the page follows.

Protocol (JSON text frames)
    browser: {"type": "subscribe", "topic", "after"} · {"type": "unsubscribe", "topic"} · {"type": "ping"}
    server:  {"type": "update", "topic", "rev", "html", "data", "final"} · {"type": "denied", "topic", "reason"}
             {"type": "beat", "at": ISO time} every 2 s

A subscription joins the topic's group first and only then reads what came after `after`, again at each poke and every
5 s; so nothing is lost, doubled or out of order, whatever becomes of pokes. Data is read only when it can be sent: a
browser that stops reading costs two updates and is dropped after 15 s.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied

from panel.accounts.models import User
from panel.accounts.permissions import can, can_anywhere
from panel.live import origin, registry
from panel.live.hub import hub
from panel.live.session import audit_refusal, session_key, user_of
from panel.live.sharing import News, encoded, sharing
from panel.live.threads import in_thread
from panel.live.wire import Closed, Gone, Receive, Send, Wire

log = structlog.get_logger("mooring.live")
POLL_SECONDS = 5.0  # between two reads without a poke, and two checks of session and right
ACCESS_SECONDS = 1.0  # for so long an answer about the right to a shared topic is good
BEAT_SECONDS = 2.0
MOST_TOPICS = 64
MOST_BYTES = 4096  # of one message from the browser
BURST, PER_SECOND = 100, 20  # messages from the browser
READS_AT_ONCE = 2
LONGEST_PAUSE = 0.25

SIGNED_OUT = Closed(4401, "You are signed out. Sign in again.")


class LiveSocket:
    """The ASGI application of the route; `permission` is what it takes to connect, each topic has its own."""

    permission = "account.self"

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        wire = Wire(receive, send)
        if not origin.allowed(scope):
            await in_thread(audit_refusal, scope, "live.connect", f"foreign origin {origin.header(scope)!r}"[:300])
            return await wire.refuse()
        await wire.accept()
        key = session_key(scope)
        user = await in_thread(user_of, key)
        if user is None:
            return await wire.close(SIGNED_OUT)
        if not await in_thread(can_anywhere, user, self.permission):
            return await wire.close(Closed(4403, f"Your role lacks the permission {self.permission}."))
        return await Connection(scope, wire, key, user.pk).run()


class Connection:
    """One browser page: its subscriptions, each a task."""

    def __init__(self, scope: dict[str, Any], wire: Wire, key: str, user_id: int) -> None:
        self.scope, self.wire, self.key, self.user_id = scope, wire, key, user_id
        self.topics: dict[str, asyncio.Task[None]] = {}
        self.reads = asyncio.Semaphore(READS_AT_ONCE)
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.allowance, self.counted_at = float(BURST), time.monotonic()

    async def run(self) -> None:
        """Serve until the browser leaves, the session ends or a limit is broken."""
        duties = [asyncio.create_task(duty()) for duty in (self._listen, self._beat, self._watch)]
        try:
            done, _ = await asyncio.wait([*duties, self.broken], return_when=asyncio.FIRST_COMPLETED)
            reason = next((task.exception() for task in done if task.exception()), None)
        finally:
            self.broken.cancel()
            tasks = [*duties, *self.topics.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(reason, Closed):
            await self.wire.close(reason)
        elif reason is not None and not isinstance(reason, Gone):
            raise reason

    async def _listen(self) -> None:
        """Take the browser's messages; ends when it leaves."""
        while (text := await self.wire.receive_text(MOST_BYTES)) is not None:
            now = time.monotonic()
            self.allowance = min(BURST, self.allowance + (now - self.counted_at) * PER_SECOND) - 1
            self.counted_at = now
            if self.allowance < 0:
                raise Closed(4429, "Too many messages.")
            try:
                await self._handle(json.loads(text))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise Closed(4400, "The message cannot be read.") from error

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ping":
            await self._send_beat()
            return
        name = str(message["topic"])[:100]
        known = self.topics.pop(name, None)
        if known is not None:
            known.cancel()
        if kind == "subscribe":
            if len(self.topics) >= MOST_TOPICS:
                raise Closed(4429, f"More than {MOST_TOPICS} topics.")
            self.topics[name] = asyncio.create_task(self._follow(name, int(message.get("after", 0))))
        elif kind != "unsubscribe":
            raise ValueError(kind)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if not self.wire.sending:  # the update on its way says as much
                await self._send_beat()

    async def _send_beat(self) -> None:
        await self.wire.send_json({"type": "beat", "at": datetime.now(UTC).isoformat()})

    async def _watch(self) -> None:
        """End when the session does, or when the user may no longer connect."""
        while True:
            await asyncio.sleep(POLL_SECONDS * 0.9)
            user = await in_thread(user_of, self.key)
            if user is None or not await in_thread(can_anywhere, user, LiveSocket.permission):
                raise SIGNED_OUT

    async def _follow(self, name: str, after: int) -> None:
        """Deliver a topic's news until its right is gone; a failure of its reader is logged and it is asked again."""
        wake = asyncio.Event()
        page = Follower(self.scope, self.user_id, name, after)
        try:
            await hub().join(name, wake.set)
            while True:
                wake.clear()
                started = time.monotonic()
                async with self.reads:
                    news = await self._read(page)
                    if news is not None:
                        await self.wire.send_text(news.text)
                        page.after, page.mark = news.update.rev, news.update.mark
                if news is not None and news.update.more:
                    continue
                # Half the time at most goes into one topic of one page: a flood of pokes is read in bigger bites.
                await asyncio.sleep(min(LONGEST_PAUSE, time.monotonic() - started))
                await _wait(wake.wait(), POLL_SECONDS * 0.9)
        except Refused as refused:
            await self.wire.send_json({"type": "denied", "topic": name, "reason": str(refused)})
        except Exception as error:  # the browser is gone or takes nothing
            if not self.broken.done():
                self.broken.set_exception(error)
        finally:
            await asyncio.shield(hub().leave(name, wake.set))
            if self.topics.get(name) is asyncio.current_task():
                del self.topics[name]

    async def _read(self, page: "Follower") -> News | None:
        try:
            return await page.read()
        except Refused:
            raise
        except Exception:
            log.exception("a topic could not be read", topic=page.name)
            return None


class Refused(Exception):
    """The user may not follow the topic; the message says why."""


class Follower:
    """What one page has of one topic: the revision it got last, and when it was last asked whether it may have more."""

    def __init__(self, scope: dict[str, Any], user_id: int, name: str, after: int) -> None:
        self.scope, self.user_id, self.name, self.after = scope, user_id, name, after
        self.mark: Hashable = None
        self._admitted_at = -ACCESS_SECONDS
        self._variant: Hashable = None

    async def read(self) -> News | None:
        """What came after `after`, alone or together with other pages. Raises Refused."""
        pokes = hub().pokes(self.name)
        if time.monotonic() - self._admitted_at >= ACCESS_SECONDS:
            # A topic that is not shared is read in the same go.
            answer = await in_thread(admit, self.scope, self.user_id, self.name, self.after)
            if not isinstance(answer, Admitted):
                return answer
            self._admitted_at, self._variant = time.monotonic(), answer.variant
        after, mark, variant = self.after, self.mark, self._variant
        key = (self.name, pokes, after, mark, variant)
        return await sharing().read(key, lambda: in_thread(read_shared, self.name, after, mark, variant))


@dataclass(frozen=True, slots=True)
class Admitted:
    """The user may follow the topic, and sees this variant of its news."""

    variant: Hashable


def admit(scope: dict[str, Any], user_id: int, name: str, after: int) -> Admitted | News | None:
    """Check the right with everything fresh from the database; read what is not shared. Raises Refused."""
    user = User.objects.filter(pk=user_id, is_active=True).prefetch_related("role_bindings").first()
    if user is None:
        raise Refused("Your account is not active.")
    try:
        topic, key = registry.lookup(name)
        subject = topic.subject(key) if topic.subject else None
        may = can(user, topic.permission, subject) if topic.subject else can_anywhere(user, topic.permission)
        if not may:
            raise PermissionDenied(f"Your role lacks the permission {topic.permission}.")
        if topic.shared is not None:
            return Admitted(topic.variant(user, subject) if topic.variant else None)
        update = topic.read(user, key, after)
        return None if update is None else encoded(name, update)
    except PermissionDenied as error:
        audit_refusal(scope, "live.subscribe", f"{name}: {error}", user)
        raise Refused(str(error) or "Your role does not allow it.") from error
    except (LookupError, ObjectDoesNotExist) as error:
        raise Refused("It does not exist, or no longer.") from error


def read_shared(name: str, after: int, mark: Hashable, variant: Hashable) -> News | None:
    """The news of a shared topic for everybody who sees this variant. Raises Refused when it is gone."""
    topic, key = registry.lookup(name)
    try:
        update = topic.shared(variant, key, after, mark) if topic.shared else None
    except (LookupError, ObjectDoesNotExist) as error:
        raise Refused("It does not exist, or no longer.") from error
    return None if update is None else encoded(name, update)


async def _wait(awaitable: Awaitable[Any], seconds: float) -> None:
    """Wait for it, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await awaitable
    except TimeoutError:
        return
