"""The list of sessions: true, one's own, and whoever is ended is out."""

import uuid
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache

from infrastructure.consumers import watch
from infrastructure.models import VE, Node
from infrastructure.services.console_sessions import Open, to_end
from panel.accounts import sessions
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.live import consumer
from panel.live.session import user_of
from tests.conftest import PASSWORD
from tests.panel.live_helpers import Browser, session_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROMIUM = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
EDGE = f"{CHROMIUM} Edg/141.0.0.0"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1"
)


def sign_in(client_class: Any, user: User, agent: str = FIREFOX, address: str = "192.0.2.7") -> Any:
    cache.clear()
    client = client_class(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    assert client.post("/account/login/", {"login": user.username, "password": PASSWORD}).status_code == 302
    return client


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox 140 on Linux"),
        (CHROMIUM, "Chromium 141 on Windows"),
        (EDGE, "Edge 141 on Windows"),
        (SAFARI, "Safari 18 on macOS"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_named_as_people_call_it(agent: str, words: str) -> None:
    assert sessions.browser_of(agent) == words


@pytest.mark.django_db
def test_the_list_has_each_session_with_this_one_marked_first(operator: User, client_class: Any) -> None:
    sign_in(client_class, operator, CHROMIUM, "192.0.2.8")
    here = sign_in(client_class, operator)
    sign_in(client_class, operator, SAFARI, "192.0.2.9").post("/account/logout/")

    html = here.get("/account/sessions/").content.decode()

    rows = [row.split("</tr>")[0] for row in html.split('<tr data-state="')[1:]]
    assert len(rows) == 2
    assert rows[0].startswith("current") and "Firefox 140 on Linux" in rows[0] and "192.0.2.7" in rows[0]
    assert "Chromium 141 on Windows" in rows[1] and "192.0.2.8" in rows[1]
    assert not any(key in html for key in Session.objects.values_list("session_key", flat=True))


@pytest.mark.django_db
def test_ending_one_ends_that_one_alone(operator: User, client_class: Any) -> None:
    here, other, third = (sign_in(client_class, operator, address=f"192.0.2.{n}") for n in (1, 2, 3))
    row = UserSession.objects.get(ip="192.0.2.2")

    here.post(f"/account/sessions/{row.pk}/end/")

    assert other.get("/health/").status_code == 302
    assert third.get("/health/").status_code == here.get("/health/").status_code == 200
    assert AuditRecord.objects.filter(action="account.sessions.end", detail="1 session has ended.").exists()


@pytest.mark.django_db
def test_ending_all_others_keeps_this_one(operator: User, client_class: Any) -> None:
    here, other, third = (sign_in(client_class, operator, address=f"192.0.2.{n}") for n in (1, 2, 3))

    here.post("/account/sessions/end-others/")

    assert [client.get("/health/").status_code for client in (here, other, third)] == [200, 302, 302]


@pytest.mark.django_db
def test_nobody_ends_a_session_of_somebody_else(operator: User, viewer: User, client_class: Any) -> None:
    theirs = sign_in(client_class, operator)
    row = UserSession.objects.get(user=operator)

    sign_in(client_class, viewer).post(f"/account/sessions/{row.pk}/end/")

    assert theirs.get("/health/").status_code == 200


@pytest.mark.django_db
def test_this_session_ends_by_signing_out_only(operator: User, client_class: Any) -> None:
    here = sign_in(client_class, operator)

    here.post(f"/account/sessions/{UserSession.objects.get().pk}/end/")

    assert here.get("/health/").status_code == 200


@pytest.mark.django_db
def test_a_changed_password_ends_the_others_and_the_list_says_so(operator: User, client_class: Any) -> None:
    here, other = sign_in(client_class, operator), sign_in(client_class, operator)
    new = "another long pass phrase"

    here.post("/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new})

    assert other.get("/health/").status_code == 302
    html = here.get("/account/sessions/").content.decode()
    assert html.count('<tr data-state="') == html.count('<tr data-state="current"') == 1


@pytest.mark.django_db
def test_a_request_costs_no_query_and_the_sign_of_life_is_written_later(
    operator: User, client_class: Any, django_assert_num_queries: Any
) -> None:
    client = sign_in(client_class, operator)
    UserSession.objects.update(last_seen_at="2026-01-01T00:00Z")
    sessions.flush()
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    with django_assert_num_queries(0):
        sessions.seen(key, "192.0.2.99")

    sessions.flush()

    row = UserSession.objects.get()
    assert row.last_seen_at.year > 2026 or row.last_seen_at.month > 1
    assert row.ip == "192.0.2.99"


@pytest.mark.django_db
def test_the_list_asks_two_queries_however_long_it_is(operator: User, django_assert_num_queries: Any) -> None:
    for _ in range(5):
        key = session_of(operator).session_key
        UserSession.objects.create(user=operator, session_key=key, ip="192.0.2.7", user_agent=FIREFOX)

    with django_assert_num_queries(2):
        assert len(sessions.sessions_of(operator)) == 5


@pytest.mark.django_db(transaction=True)
async def test_the_live_socket_of_an_ended_session_closes_at_its_next_look(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert consumer.POLL_SECONDS <= 5
    monkeypatch.setattr(consumer, "POLL_SECONDS", 0.2)
    ended, stays = [await sync_to_async(session_of)(viewer) for _ in range(2)]
    for session in (ended, stays):
        await UserSession.objects.acreate(user=viewer, session_key=session.session_key, ip="192.0.2.7", user_agent="")
    browsers = [Browser(session.session_key) for session in (ended, stays)]
    for browser in browsers:
        assert await browser.connect()
    row = await UserSession.objects.aget(session_key=ended.session_key)

    assert await sync_to_async(sessions.end)(viewer, ids=[row.pk]) == 1

    assert (await browsers[0].closed())["code"] == 4401
    assert await browsers[1].is_silent()
    await browsers[1].disconnect()


@pytest.mark.django_db
def test_an_open_console_of_an_ended_session_is_to_end_at_its_next_look(operator: User, client_class: Any) -> None:
    client = sign_in(client_class, operator)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    node = Node.objects.create(name="primary", address="primary", state="online")
    ve = VE.objects.create(uuid=uuid.uuid4(), name="vm", kind="vm", node=node, state="running")
    console = Open(1, key, ve.pk)
    assert to_end([console]) == set()

    sessions.end(operator)

    assert user_of(key) is None
    assert to_end([console]) == {1}
    assert watch.CHECK_SECONDS <= 5
