"""Only pages of the panel itself may open a websocket."""

import pytest
from asgiref.sync import sync_to_async

from panel.audit.models import AuditRecord
from panel.live import origin, session
from panel.routing import websocket
from tests.panel.live_helpers import Browser, session_of

HERE = "https://panel.example:8443"
# Every websocket route there is.
PATHS = [f"/{route.pattern}" for route in websocket.inner.routes]
# None, null, foreign, subdomain, our name within another, other port, other scheme, none of these.
FOREIGN = [
    None, "null", "", "https://evil.example", "https://evil.example:8443", "https://sub.localhost:8443",
    "https://localhost.evil.example:8443", "https://localhost", "https://localhost:8444", "http://localhost:8443",
    "wss://localhost:8443", "https://localhost:8443@evil.example", "file://",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HERE, True),
        ("HTTPS://PANEL.example:8443", True),
        (None, False),
        ("null", False),
        ("", False),
        ("https://evil.example:8443", False),
        ("https://sub.panel.example:8443", False),
        ("https://panel.example.evil.example:8443", False),
        ("https://panel.example", False),
        ("https://panel.example:8444", False),
        ("http://panel.example:8443", False),
        ("wss://panel.example:8443", False),
        ("https://panel.example:8443@evil.example", False),
        ("https://user@panel.example:8443", False),
        ("https://panel.example:8443/", False),
        ("https://panel.example:8443?x", False),
        (" https://panel.example:8443", False),
        ("https://panel.example:99999", False),
        ("https://[panel.example:8443", False),
    ],
)
def test_only_the_exact_origin_is_allowed(text: str | None, expected: bool) -> None:
    headers = [] if text is None else [(b"origin", text.encode())]

    assert origin.allowed({"headers": headers}, [HERE]) is expected


def test_the_default_port_may_be_left_out() -> None:
    assert origin.allowed({"headers": [(b"origin", b"https://panel.example")]}, ["https://panel.example:443"])


def test_two_origin_headers_are_refused() -> None:
    assert not origin.allowed({"headers": [(b"origin", HERE.encode())] * 2}, [HERE])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", [*PATHS, "/nowhere/"])
@pytest.mark.parametrize("text", FOREIGN)
async def test_a_foreign_page_gets_no_websocket(path: str, text: str | None, operator: object) -> None:
    session = await sync_to_async(session_of)(operator)
    browser = Browser(session.session_key, origin=text, path=path)

    assert not await browser.connect()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_the_panel_does_get_one(path: str, operator: object) -> None:
    browser = Browser((await sync_to_async(session_of)(operator)).session_key, path=path)

    assert await browser.connect()
    await browser.disconnect()


@pytest.mark.django_db(transaction=True)
async def test_a_foreign_page_leaves_one_row_in_the_audit_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_refusals", {})
    for name in ("evil-in-the-trail", "a", "b"):
        await Browser(origin=f"https://{name}.example").connect()

    row = await AuditRecord.objects.aget(action="live.connect")
    assert (row.result, row.source) == ("refused", "192.0.2.7")
    assert "evil-in-the-trail" in row.detail
