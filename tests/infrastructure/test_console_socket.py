"""The console's websocket: who gets one, what passes through it, and when it ends."""

import asyncio
import contextlib
import json
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import InterfaceError

from infrastructure.choices import ConsoleKind
from infrastructure.consumers import ConsoleSocket, screen, visit, watch
from infrastructure.drivers.base import Conflict, ConsoleEndpoint, Endpoint, NotSupported, Unreachable
from infrastructure.models import VE, ConsoleSession, Node
from infrastructure.services import console_sessions
from infrastructure.services.console import Location, issue_ticket
from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord
from panel.live import wire
from tests.infrastructure.console_pages import Joined, Page
from tests.panel.live_helpers import session_of
from tests.waiting import soon

pytestmark = pytest.mark.django_db(transaction=True)


class Display:
    """A VNC server on a unix socket: greets, then echoes; counts what it could get rid of."""

    def __init__(self, path: Path) -> None:
        self.path, self.flood, self.flooded = path, False, 0
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            writer.write(b"RFB 003.008\n")
            while self.flood:
                writer.write(b"x" * 65536)
                await writer.drain()
                self.flooded += 65536
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def locate(self, ve: VE, kind: ConsoleKind) -> Location:
        endpoint = Endpoint(name="primary", address="192.0.2.11")
        return Location("primary", endpoint, ConsoleEndpoint("vnc", socket=str(self.path)))

    async def connect(self, location: Location) -> Joined:
        return Joined(*(await asyncio.open_unix_connection(location.display.socket)))

    @property
    def application(self) -> ConsoleSocket:
        return ConsoleSocket(locate=self.locate, connect=self.connect)


@pytest.fixture
async def display() -> AsyncIterator[Display]:
    with tempfile.TemporaryDirectory() as folder:
        display = Display(Path(folder) / "vnc.sock")
        server = await asyncio.start_unix_server(display.serve, display.path)
        yield display
        server.close()
        for writer in tuple(display.open):
            writer.transport.abort()


@pytest.fixture
def ve(transactional_db: None) -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.11")
    return VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=node, state="running")


async def connected(display: Display, user: User, ve: VE) -> Page:
    page = await Page.open(display.application, user)
    await page.show_ticket(user, ve)
    assert (await page.answer())["type"] == "ready"
    assert await page.picture(12) == b"RFB 003.008\n"
    return page


async def test_bytes_pass_both_ways(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)

    page.say_bytes(b"\x03\x00" + bytes(range(256)))

    assert await page.picture(258) == b"\x03\x00" + bytes(range(256))
    await page.disconnect()
    await soon(lambda: not display.open)


async def test_it_names_the_node_before_the_first_byte(display: Display, operator: User, ve: VE) -> None:
    page = await Page.open(display.application, operator, subprotocols=("binary",))
    await page.show_ticket(operator, ve)

    assert page.subprotocol == "binary"
    answer = await page.answer()
    session = await ConsoleSession.objects.aget()
    assert answer == {"type": "ready", "session": session.pk, "node": "primary", "warning": ""}
    await page.disconnect()


async def test_a_display_on_the_network_is_used_with_a_warning(display: Display, operator: User, ve: VE) -> None:
    async def locate(ve: VE, kind: ConsoleKind) -> Location:
        exposed = ConsoleEndpoint("vnc", host="0.0.0.0", port=5901)
        return Location("primary", Endpoint(name="primary", address="192.0.2.11"), exposed)

    async def connect(location: Location) -> Joined:
        return Joined(*(await asyncio.open_unix_connection(str(display.path))))

    page = await Page.open(ConsoleSocket(locate=locate, connect=connect), operator)
    await page.show_ticket(operator, ve)

    assert "0.0.0.0:5901" in (await page.answer())["warning"]
    await page.disconnect()


async def test_an_opened_console_is_in_the_audit_trail(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)

    row = await AuditRecord.objects.aget(action="ve.console.open")
    assert (row.result, row.actor_name, row.target_name, row.source) == ("ok", "operator", "vmtest", "192.0.2.7")
    await page.disconnect()


@pytest.mark.parametrize(
    "message",
    ["", "no JSON", "[]", "{}", '{"ticket": "made up", "ve": 1}', '{"ve": "x"}', '{"ticket": "x", "ve": Infinity}'],
)
async def test_nothing_opens_without_a_ticket(display: Display, operator: User, ve: VE, message: str) -> None:
    page = await Page.open(display.application, operator)
    page.say(message)

    assert (await page.answer())["code"] == 4401
    assert (await page.closed())["code"] == 4401
    assert not display.open


async def test_bytes_instead_of_a_ticket_open_nothing(display: Display, operator: User, ve: VE) -> None:
    page = await Page.open(display.application, operator)
    page.say_bytes(b"RFB 003.008\n")

    assert (await page.closed())["code"] == 4400
    assert not display.open


async def test_a_stranger_gets_none(display: Display, operator: User, ve: VE) -> None:
    token = await sync_to_async(issue_ticket)(user=operator, session_key="theirs", ve=ve)
    page = Page(path="/console/", application=display.application)
    assert await page.connect()
    page.say_json({"ticket": token, "ve": ve.pk})

    assert (await page.answer())["code"] == 4401


async def test_a_ticket_opens_nothing_after_logout(display: Display, operator: User, ve: VE) -> None:
    session = await sync_to_async(session_of)(operator)
    token = await sync_to_async(issue_ticket)(user=operator, session_key=session.session_key, ve=ve)
    await sync_to_async(session.delete)()
    page = Page(session.session_key, path="/console/", application=display.application)
    await page.connect()
    page.say_json({"ticket": token, "ve": ve.pk})

    assert (await page.answer())["code"] == 4401
    assert not display.open


async def test_a_ticket_opens_nothing_in_another_session_of_the_user(display: Display, operator: User, ve: VE) -> None:
    token = await sync_to_async(issue_ticket)(user=operator, session_key="elsewhere", ve=ve)
    page = await Page.open(display.application, operator)
    page.say_json({"ticket": token, "ve": ve.pk})

    assert (await page.answer())["code"] == 4401
    assert not display.open


@pytest.mark.parametrize("end", ["role", "binding", "logout", "deactivate", "forget"])
async def test_it_ends_when_the_right_goes(
    display: Display, operator: User, ve: VE, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch.CHECK_SECONDS < 5
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.2)
    page = await connected(display, operator, ve)

    if end == "role":
        await RoleBinding.objects.filter(user=operator).aupdate(role="viewer")
    elif end == "binding":
        await RoleBinding.objects.filter(user=operator).adelete()
    elif end == "logout":
        await sync_to_async(page.session.delete)()
    elif end == "forget":
        await VE.objects.filter(pk=ve.pk).adelete()
    else:
        await User.objects.filter(pk=operator.pk).aupdate(is_active=False)

    assert (await page.closed())["code"] == 4403
    await soon(lambda: not display.open)


async def test_rights_are_asked_again_after_a_connection_to_the_database_broke(
    display: Display, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.1)
    asked, ask = asyncio.Event(), console_sessions.to_end
    loop = asyncio.get_running_loop()

    def broken(consoles: Any) -> set[int]:
        loop.call_soon_threadsafe(asked.set)
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr(console_sessions, "to_end", broken)
    page = await connected(display, operator, ve)
    await asked.wait()
    monkeypatch.setattr(console_sessions, "to_end", ask)
    await RoleBinding.objects.filter(user=operator).adelete()

    assert (await page.closed())["code"] == 4403


async def test_what_a_button_sends_is_audited_before_it_is_sent(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)
    page.say_json({"type": "sent", "what": "keys", "keys": "Control+Alt+Delete"})
    page.say_bytes(b"\xff")

    assert await page.picture(1) == b"\xff"
    row = await AuditRecord.objects.aget(action="ve.console.keys")
    assert (row.actor_name, row.target_name, row.detail) == ("operator", "vmtest", "Control+Alt+Delete")
    await page.disconnect()


async def test_its_end_is_in_the_audit_trail_with_the_reason(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)
    page.say_bytes(b"x" * 1024)
    await page.picture(1024)
    await page.disconnect()

    row = await AuditRecord.objects.aget(action="ve.console.close")
    assert re.fullmatch(r"screen on primary, \d+ s, 1 KiB sent, 1 KiB received", row.detail)
    assert (await ConsoleSession.objects.aget()).closed_at is not None


async def test_it_says_that_the_display_ended(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)

    for writer in tuple(display.open):
        writer.close()

    closed = await page.closed()
    assert (closed["code"], closed["reason"]) == (4410, "The display of vmtest on primary ended.")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Conflict("vmtest is not running"), 4404, "vmtest is not running. Start it to open its console."),
        (NotSupported("vmtest has no VNC display", advice="Add one."), 4405, "vmtest has no VNC display. Add one."),
        (Unreachable("primary does not answer"), 4503, "primary does not answer"),
    ],
)
async def test_it_says_why_there_is_no_display(
    display: Display, operator: User, ve: VE, error: Exception, code: int, words: str
) -> None:
    async def locate(ve: VE, kind: ConsoleKind) -> Location:
        raise error

    page = await Page.open(ConsoleSocket(locate=locate, connect=display.connect), operator)
    await page.show_ticket(operator, ve)

    assert await page.answer() == {"type": "refused", "code": code, "reason": words}
    assert (await page.closed())["code"] == code


async def test_text_after_the_ticket_ends_it(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)
    page.say("{}")

    assert (await page.closed())["code"] == 4400


async def test_a_huge_message_ends_it(display: Display, operator: User, ve: VE) -> None:
    page = await connected(display, operator, ve)
    page.say_bytes(b"x" * (visit.MOST_INPUT_BYTES + 1))

    assert (await page.closed())["code"] == 4400


async def test_a_browser_that_stops_reading_costs_little_and_is_dropped(
    display: Display, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.5)
    display.flood = True
    session = await sync_to_async(session_of)(operator)
    token = await sync_to_async(issue_ticket)(user=operator, session_key=session.session_key, ve=ve)
    page = Page(session.session_key, application=display.application)
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})
    incoming.put_nowait({"type": "websocket.receive", "text": json.dumps({"ticket": token, "ve": ve.pk})})
    held = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal held
        held += len(message.get("bytes") or b"")
        if held > 1 << 20:
            await asyncio.Event().wait()  # the browser takes a MiB and then no more

    await asyncio.wait_for(display.application(page.scope, incoming.get, send), 60)

    assert held <= (1 << 20) + screen.CHUNK
    assert display.flooded < 4 << 20, "the node was read on although nobody took it"


async def test_a_slow_node_holds_the_browser_back(operator: User, ve: VE, display: Display) -> None:
    room = asyncio.Event()
    taken = 0

    class Writer:
        def write(self, data: bytes) -> None:
            nonlocal taken
            taken += len(data)

        async def drain(self) -> None:
            await room.wait()

        def close(self) -> None:
            pass

    async def connect(location: Location) -> Joined:
        return Joined(asyncio.StreamReader(), Writer())

    page = await Page.open(ConsoleSocket(locate=display.locate, connect=connect), operator)
    await page.show_ticket(operator, ve)
    await page.answer()
    for _ in range(100):
        page.say_bytes(b"x" * 10_000)
    await soon(lambda: taken)
    await asyncio.sleep(0.2)

    assert taken == 10_000
    room.set()
    await soon(lambda: taken == 1_000_000)
    await page.disconnect()


async def test_the_token_is_in_no_log(
    display: Display, operator: User, ve: VE, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens: list[str] = []
    issue: Callable[..., str] = issue_ticket
    for _ in range(2):
        page = await Page.open(display.application, operator)
        token = await sync_to_async(issue)(user=operator, session_key=page.session.session_key, ve=ve)
        page.say_json({"ticket": token, "ve": ve.pk})
        await page.answer()
        tokens.append(token)
        again = await Page.open(display.application, operator)
        again.say_json({"ticket": token, "ve": ve.pk})
        assert (await again.answer())["type"] == "refused"
        with contextlib.suppress(AssertionError):
            await page.disconnect()

    written = caplog.text + "".join(capsys.readouterr())
    assert not [token for token in tokens if token in written]


async def test_it_ends_when_nobody_can_say_who_may_stay_and_is_judged_anew(
    display: Display, operator: User, ve: VE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.1)

    def broken(consoles: Any) -> set[int]:
        raise KeyError("no such thing")

    page = await connected(display, operator, ve)
    with monkeypatch.context() as patch:
        patch.setattr(console_sessions, "to_end", broken)
        assert (await page.closed())["code"] == 4503

    page = await connected(display, operator, ve)
    await RoleBinding.objects.filter(user=operator).adelete()
    assert (await page.closed())["code"] == 4403
