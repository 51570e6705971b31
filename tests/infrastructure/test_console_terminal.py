"""A text console over its websocket: several browsers at one line, its pace, its end."""

import asyncio
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from infrastructure.choices import ConsoleKind
from infrastructure.consumers import ConsoleSocket, line, terminal, watch
from infrastructure.drivers.base import Conflict, ConsoleEndpoint, Endpoint, NotSupported
from infrastructure.models import VE, Node
from infrastructure.services.console import Location, issue_ticket
from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord
from tests.infrastructure.console_pages import Page
from tests.waiting import soon

pytestmark = pytest.mark.django_db(transaction=True)


class Device:
    """A guest's serial port: what it prints is fed by the test, what is typed is kept."""

    def __init__(self) -> None:
        self.output: asyncio.Queue[bytes] = asyncio.Queue()
        self.typed = b""
        self.closed = False
        self.taken = 0
        self.room = asyncio.Event()
        self.room.set()

    async def read(self, n: int = -1) -> bytes:
        data = await self.output.get()
        assert len(data) <= n
        self.taken += len(data)
        return data

    def write(self, data: bytes) -> None:
        self.typed += data

    async def drain(self) -> None:
        await self.room.wait()

    def close(self) -> None:
        self.closed = True

    def print(self, *parts: bytes) -> None:
        for part in parts:
            self.output.put_nowait(part)


class Guest:
    """A VE whose console each connect opens anew; a migration is another node's name."""

    def __init__(self) -> None:
        self.node, self.opened, self.forced = "primary", list[Device](), list[bool]()
        self.error: Exception | None = None
        self.application = ConsoleSocket(locate=self.locate, connect_text=self.connect)

    async def locate(self, ve: VE, kind: ConsoleKind) -> Location:
        assert kind == ConsoleKind.TEXT
        return Location(self.node, Endpoint(self.node, "192.0.2.11"), ConsoleEndpoint("serial"))

    async def connect(self, location: Location, ve: VE, force: bool) -> Device:
        await asyncio.sleep(0.02)
        self.forced.append(force)
        if self.error is not None and not force:
            raise self.error
        self.opened.append(Device())
        return self.opened[-1]

    @property
    def device(self) -> Device:
        return self.opened[-1]


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def ve(transactional_db: None) -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.11")
    return VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=node, state="running")


async def come(guest: Guest, user: User, ve: VE, **wishes: Any) -> tuple[Page, dict[str, Any]]:
    page = await Page.open(guest.application, user)
    await page.show_ticket(user, ve, ConsoleKind.TEXT, **wishes)
    ready = await page.answer()
    assert ready["type"] == "ready", ready
    return page, ready


async def test_bytes_pass_both_ways_as_they_are(guest: Guest, operator: User, ve: VE) -> None:
    page, _ = await come(guest, operator, ve)
    everything = bytes(range(256))
    page.say_bytes(everything)
    guest.device.print(everything)

    assert await page.picture(256) == everything
    await soon(lambda: len(guest.device.typed) >= 256)
    assert guest.device.typed == everything, "a control character was not passed through"
    await page.disconnect()


async def test_two_browsers_share_one_line(guest: Guest, operator: User, administrator: User, ve: VE) -> None:
    (first, _), (second, _) = await asyncio.gather(come(guest, operator, ve), come(guest, administrator, ve))
    assert len(guest.opened) == 1, "each opened the device: they would take each other's output"
    guest.device.print(b"login: ")

    assert await first.picture(7) == b"login: "
    assert await second.picture(7) == b"login: "
    first.say_bytes(b"ro")
    await soon(lambda: guest.device.typed == b"ro")
    second.say_bytes(b"ot\r")
    await soon(lambda: guest.device.typed == b"root\r")
    await first.disconnect()
    guest.device.print(b"# ")
    while not (await second.note("answers"))["you"]:  # until it is told that it speaks now
        pass
    assert await second.picture(2) == b"# ", "the line ended with the first browser"
    await second.disconnect()


async def test_who_joins_sees_the_latest_output(guest: Guest, operator: User, ve: VE) -> None:
    first, _ = await come(guest, operator, ve)
    guest.device.print(b"old\r\n", b"latest\r\n")
    await first.picture(13)
    second, ready = await come(guest, operator, ve)

    assert await second.picture(13) == b"old\r\nlatest\r\n"
    assert ready["replay"] == 13
    await first.disconnect()
    await second.disconnect()


async def test_only_one_terminal_answers_the_guest(guest: Guest, operator: User, ve: VE) -> None:
    first, one = await come(guest, operator, ve)
    second, two = await come(guest, operator, ve)
    assert (one["answers"], two["answers"]) == (True, False)

    second.say_bytes(b"x")
    assert (await first.note("answers"))["you"] is False
    assert (await second.note("answers"))["you"] is True
    await first.disconnect()
    await second.disconnect()


async def test_a_browser_that_comes_back_goes_on_where_it_was(
    guest: Guest, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "LINGER", 60.0)
    page, ready = await come(guest, operator, ve)
    guest.device.print(b"12345")
    await page.picture(5)
    await page.disconnect()
    guest.device.print(b"67890")
    await asyncio.sleep(0.05)
    again, then = await come(guest, operator, ve, line=ready["line"], offset=5)

    assert (then["line"], then["offset"]) == (ready["line"], 5)
    assert await again.picture(5) == b"67890"
    assert len(guest.opened) == 1
    await again.disconnect()


@pytest.mark.parametrize("offset", [-1, 10**9, "5", None, 1.5])
async def test_a_place_that_is_none_is_answered_with_the_latest_output(
    guest: Guest, operator: User, ve: VE, offset: Any
) -> None:
    page, ready = await come(guest, operator, ve)
    guest.device.print(b"12345")
    await page.picture(5)
    again, then = await come(guest, operator, ve, line=ready["line"], offset=offset)

    assert then["offset"] == 0
    assert await again.picture(5) == b"12345"
    await page.disconnect()
    await again.disconnect()


async def test_the_line_is_let_go_after_the_last_browser(
    guest: Guest, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = await come(guest, operator, ve)
    monkeypatch.setattr(line, "LINGER", 2.0)  # it runs while the end is audited
    await page.disconnect()
    assert not guest.device.closed, "a reloaded page would lose the output"
    await soon(lambda: guest.device.closed)

    page, _ = await come(guest, operator, ve)
    assert len(guest.opened) == 2
    await page.disconnect()


async def test_after_a_migration_it_is_the_line_on_the_other_node(guest: Guest, operator: User, ve: VE) -> None:
    page, before = await come(guest, operator, ve)
    source = guest.device
    guest.node = "secondnode1"
    again, ready = await come(guest, operator, ve, line=before["line"], offset=0)

    assert ready["node"] == "secondnode1" and ready["line"] != before["line"]
    assert source.closed
    assert (await page.closed())["code"] == 4410
    guest.device.print(b"here")
    assert await again.picture(4) == b"here"
    await again.disconnect()


async def test_it_says_that_the_console_ended_after_the_last_output(guest: Guest, operator: User, ve: VE) -> None:
    page, _ = await come(guest, operator, ve)
    guest.device.print(b"reboot: Power down\r\n", b"")

    assert await page.picture(20) == b"reboot: Power down\r\n"
    closed = await page.closed()
    assert (closed["code"], closed["reason"]) == (4410, "The console of vmtest on primary ended.")


async def test_a_console_that_another_program_has_can_be_taken_over(guest: Guest, operator: User, ve: VE) -> None:
    guest.error = Conflict("Another program has it", code="console-busy", advice="Take it over.")
    page = await Page.open(guest.application, operator)
    await page.show_ticket(operator, ve, ConsoleKind.TEXT)
    assert await page.answer() == {"type": "refused", "code": 4409, "reason": "Another program has it. Take it over."}

    page, _ = await come(guest, operator, ve, force=True)
    assert guest.forced == [False, True]
    row = await AuditRecord.objects.aget(action="ve.console.open")
    assert row.detail == "text on primary, taken over from another program"
    await page.disconnect()


async def test_it_says_why_there_is_none(guest: Guest, operator: User, ve: VE) -> None:
    guest.error = NotSupported("vmtest has no serial console", advice="Add one.")
    page = await Page.open(guest.application, operator)
    await page.show_ticket(operator, ve, ConsoleKind.TEXT)

    answer = await page.answer()
    assert (answer["code"], answer["reason"]) == (4405, "vmtest has no serial console. Add one.")


async def test_a_screens_ticket_opens_no_text_console(guest: Guest, operator: User, ve: VE) -> None:
    page = await Page.open(guest.application, operator)
    key = page.session.session_key
    token = await sync_to_async(issue_ticket)(user=operator, session_key=key, ve=ve, kind=ConsoleKind.SCREEN)
    page.say_json({"ticket": token, "ve": ve.pk, "kind": "text"})

    assert (await page.answer())["code"] == 4401
    assert not guest.opened


async def test_it_ends_when_the_right_goes_and_only_for_whose_it_was(
    guest: Guest, operator: User, administrator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch.CHECK_SECONDS < 5
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.2)
    page, _ = await come(guest, operator, ve)
    other, _ = await come(guest, administrator, ve)
    await RoleBinding.objects.filter(user=operator).adelete()

    assert (await page.closed())["code"] == 4403
    guest.device.print(b"still here")
    assert await other.picture(10) == b"still here"
    await other.disconnect()


async def test_a_terminal_that_shows_nothing_gets_no_more_and_does_not_stop_the_guest(
    guest: Guest, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PATIENCE", 0.01)
    page, _ = await come(guest, operator, ve)
    guest.device.print(*[b"x" * line.CHUNK] * 32)
    await soon(lambda: guest.device.taken == 32 * line.CHUNK)  # it did not stand still because nobody looked
    await asyncio.sleep(0.2)

    got = sum(len(message.get("bytes") or b"") for message in list(page.sent._queue))  # type: ignore[attr-defined]
    assert got == terminal.UNSHOWN, "what the browser must hold in memory has no bound"
    await page.picture(got)
    page.say_json({"type": "ack", "bytes": got})
    skipped = await page.note("skipped")
    assert got + skipped["bytes"] + line.RING == 32 * line.CHUNK
    await page.disconnect()


async def test_a_browser_that_keeps_up_misses_nothing_beside_one_that_does_not(
    guest: Guest, operator: User, administrator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PATIENCE", 3600.0)
    quick, _ = await come(guest, operator, ve)
    slow, _ = await come(guest, administrator, ve)
    sent = [bytes([number % 256]) * line.CHUNK for number in range(24)]
    guest.device.print(*sent)
    seen = b""
    for chunk in sent:
        seen += await quick.picture(len(chunk))
        quick.say_json({"type": "ack", "bytes": len(seen)})

    assert seen == b"".join(sent)
    await quick.disconnect()
    await slow.disconnect()


@pytest.mark.parametrize("shown", [-1, 10**9, "1", None])
async def test_a_made_up_acknowledgement_ends_it(guest: Guest, operator: User, ve: VE, shown: Any) -> None:
    page, _ = await come(guest, operator, ve)
    page.say_json({"type": "ack", "bytes": shown})

    assert (await page.closed())["code"] == 4400


async def test_a_guest_that_takes_nothing_holds_the_browser_back(guest: Guest, operator: User, ve: VE) -> None:
    page, _ = await come(guest, operator, ve)
    guest.device.room.clear()
    for _ in range(50):
        page.say_bytes(b"x" * 1000)
    await soon(lambda: guest.device.typed)
    await asyncio.sleep(0.1)
    assert len(guest.device.typed) == 1000

    guest.device.room.set()
    await soon(lambda: len(guest.device.typed) == 50_000)
    await page.disconnect()


async def test_what_a_button_sends_is_audited_before_it_is_sent(guest: Guest, operator: User, ve: VE) -> None:
    page, _ = await come(guest, operator, ve)
    page.say_json({"type": "sent", "what": "paste", "characters": 11})
    page.say_bytes(b"secret text")
    await soon(lambda: guest.device.typed)

    assert guest.device.typed == b"secret text"
    rows = [row async for row in AuditRecord.objects.values_list("action", "detail")]
    assert ("ve.console.paste", "11 characters, typed") in rows
    assert "secret text" not in str(rows)
    await page.disconnect()


async def test_a_ping_is_answered(guest: Guest, operator: User, ve: VE) -> None:
    page, _ = await come(guest, operator, ve)
    page.say_json({"type": "ping", "n": 7})

    assert await page.note("pong") == {"type": "pong", "n": 7}
    await page.disconnect()
