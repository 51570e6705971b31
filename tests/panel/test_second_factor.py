"""Two-factor sign-in: adding an app, the second step, replay, guessing, recovery codes, secrets at rest."""

import json
import re
import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.cache import cache

from panel.accounts import users
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.trust import encryption
from tests.conftest import PASSWORD
from tests.panel.codes import code_at

pytestmark = pytest.mark.django_db
APP, OFF, CODES = "/account/two-factor/app/", "/account/two-factor/off/", "/account/two-factor/codes/"
START = 1_800_000_000


@pytest.fixture(autouse=True)
def _keys_and_no_earlier_attempts(settings: Any, tmp_path: Any) -> None:
    settings.KEYS_DIR = tmp_path
    encryption.ensure_key()
    cache.clear()


def confirm(client: Any) -> None:
    client.post("/account/confirm/", {"password": PASSWORD})


def add_app(client: Any, moment: float) -> str:
    """Add an app at this moment, which uses up its code; returns the secret."""
    confirm(client)
    html = client.get(APP).content.decode()
    secret = re.search(r'id="secret">([^<]+)<', html)[1].replace(" ", "")
    answer = client.post(APP, {"code": code_at(secret, moment)})
    assert answer.status_code == 302, answer.content.decode()
    return str(secret)


def enter_password(client_class: Any, user: User, **meta: str) -> Any:
    client = client_class(**meta)
    answer = client.post("/account/login/", {"login": user.username, "password": PASSWORD})
    assert answer["Location"] == "/account/login/code/"
    return client


def signed_in(client: Any) -> bool:
    return bool(client.get("/health/").status_code == 200)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def secret(operator: User, client_of: Any, clock: Any) -> str:
    """The operator's app, added a minute ago."""
    key = add_app(client_of(operator), START)
    clock.move_to(START + 60)
    return key


def test_the_page_shows_the_same_key_as_picture_and_text_and_again_after_a_reload(
    operator: User, client_of: Any
) -> None:
    client = client_of(operator)
    assert client.get(APP)["Location"].startswith("/account/confirm/")
    confirm(client)

    first, second = (client.get(APP).content.decode() for _ in range(2))

    key = re.search(r'id="secret">([A-Z2-7 ]+)<', first)
    assert key
    assert len(key[1].replace(" ", "")) == 32
    assert key[0] in second
    assert 'src="data:image/svg+xml;base64,' in first


def test_adding_an_app_is_recorded(
    operator: User, client_of: Any, clock: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        add_app(client_of(operator), START)

    rows = AuditRecord.objects.filter(action="account.second_factor.on", actor=operator)
    assert {row.detail for row in rows} == {"authenticator app", "recovery codes"}


def test_the_password_alone_signs_in_no_longer(operator: User, secret: str, client_class: Any) -> None:
    client = enter_password(client_class, operator)

    assert not signed_in(client)
    answer = client.post("/account/login/code/", {"code": code_at(secret, time.time())})

    assert answer.status_code == 302
    assert signed_in(client)


def test_a_phone_half_a_minute_off_is_taken_and_one_two_minutes_off_is_not(
    operator: User, secret: str, client_class: Any
) -> None:
    for drift, taken in ((120, False), (-120, False), (30, True)):
        client = enter_password(client_class, operator)
        client.post("/account/login/code/", {"code": code_at(secret, time.time() + drift)})
        assert signed_in(client) is taken, drift


def test_a_code_works_once_for_as_long_as_it_would_be_right(
    operator: User, secret: str, client_class: Any, clock: Any
) -> None:
    """A code is right for 90 s with the tolerance: the second use comes 45 s later, as an onlooker's would."""
    code = code_at(secret, time.time())
    assert enter_password(client_class, operator).post("/account/login/code/", {"code": code}).status_code == 302
    clock.shift(45)
    thief = enter_password(client_class, operator)

    html = thief.post("/account/login/code/", {"code": code}).content.decode()

    assert "it was used before" in html
    assert not signed_in(thief)
    assert AuditRecord.objects.filter(action="account.second_factor", result="failed", actor=operator).exists()


def test_an_earlier_code_is_not_taken_after_a_later_one(operator: User, secret: str, client_class: Any) -> None:
    later, earlier = code_at(secret, time.time() + 30), code_at(secret, time.time())
    enter_password(client_class, operator).post("/account/login/code/", {"code": later})
    client = enter_password(client_class, operator)

    client.post("/account/login/code/", {"code": earlier})

    assert not signed_in(client)


def test_the_code_that_proved_the_app_signs_nobody_in(
    operator: User, client_of: Any, client_class: Any, clock: Any
) -> None:
    key = add_app(client_of(operator), START)
    client = enter_password(client_class, operator)

    client.post("/account/login/code/", {"code": code_at(key, START)})

    assert not signed_in(client)


def test_guessing_codes_is_stopped_from_whatever_address_and_told_in_words(
    operator: User, secret: str, client_class: Any
) -> None:
    for number in range(6):
        client = enter_password(client_class, operator, REMOTE_ADDR=f"192.0.2.{number + 1}")
        html = client.post("/account/login/code/", {"code": "000000"}).content.decode()
    assert "Too many wrong codes. Wait five minutes" in html

    client.post("/account/login/code/", {"code": code_at(secret, time.time())})

    assert not signed_in(client)


def test_the_second_step_waits_fifteen_minutes_and_no_longer(
    operator: User, secret: str, client_class: Any, clock: Any
) -> None:
    client = enter_password(client_class, operator)
    clock.shift(16 * 60)

    client.post("/account/login/code/", {"code": code_at(secret, time.time())})

    assert not signed_in(client)


def test_a_sign_in_that_stopped_at_the_second_step_can_begin_again(
    operator: User, secret: str, client_class: Any
) -> None:
    client = enter_password(client_class, operator)
    assert client.get("/account/login/")["Location"] == "/account/login/code/"

    client.post("/account/logout/", {"next": "/account/login/"})

    assert client.get("/account/login/").status_code == 200


def test_a_sign_in_that_waits_for_its_code_is_void_when_the_password_is_reset(
    operator: User, secret: str, client_class: Any, clock: Any
) -> None:
    client = enter_password(client_class, operator)
    users.set_password(actor=None, user=operator, password="another one, and long enough")

    answer = client.post("/account/login/code/", {"code": code_at(secret, START + 60)})

    assert "Your password was changed meanwhile" in answer.content.decode()
    assert not signed_in(client)


def test_recovery_codes_are_shown_once_and_each_works_once(
    operator: User, client_of: Any, client_class: Any, clock: Any
) -> None:
    client = client_of(operator)
    add_app(client, START)
    shown = client.get(CODES)
    codes = re.search(r'id="codes">([\d\s]+)<', shown.content.decode())[1].split()
    assert len(set(codes)) == 10
    assert "no-store" in shown["Cache-Control"]
    assert not any(code in client.get(CODES).content.decode() for code in codes)

    for taken in (True, False):
        other = enter_password(client_class, operator)
        other.post("/account/login/code/", {"code": codes[3]})
        assert signed_in(other) is taken

    row = AuditRecord.objects.get(action="account.recovery_code.used")
    assert row.detail == "9 left"


def test_new_recovery_codes_replace_the_old_ones(
    operator: User, client_of: Any, client_class: Any, clock: Any, django_capture_on_commit_callbacks: Any
) -> None:
    client = client_of(operator)
    add_app(client, START)
    old = re.search(r'id="codes">([\d\s]+)<', client.get(CODES).content.decode())[1].split()
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/account/two-factor/codes/new/")
    new = re.search(r'id="codes">([\d\s]+)<', client.get(CODES).content.decode())[1].split()
    assert not set(old) & set(new)

    refused = enter_password(client_class, operator)
    refused.post("/account/login/code/", {"code": old[0]})
    taken = enter_password(client_class, operator)
    taken.post("/account/login/code/", {"code": new[0]})

    assert not signed_in(refused)
    assert signed_in(taken)
    assert AuditRecord.objects.filter(action="account.recovery_codes.new").exists()


def test_switching_it_off_needs_a_fresh_confirmation(operator: User, secret: str, client_class: Any) -> None:
    client = enter_password(client_class, operator)
    client.post("/account/login/code/", {"code": code_at(secret, time.time())})
    assert client.post(OFF)["Location"].startswith("/account/confirm/")
    assert Authenticator.objects.filter(user=operator).count() == 2

    confirm(client)
    client.post(OFF)

    assert not Authenticator.objects.filter(user=operator).exists()
    assert AuditRecord.objects.filter(action="account.second_factor.off", actor=operator).exists()


def test_a_wrong_password_confirms_nothing_and_is_recorded(operator: User, secret: str, client_of: Any) -> None:
    client = client_of(operator)
    client.post("/account/confirm/", {"password": "wrong"})

    assert client.post(OFF)["Location"].startswith("/account/confirm/")
    assert AuditRecord.objects.filter(action="account.confirm", result="failed", actor=operator).exists()


def test_no_secret_lies_in_the_database_in_clear(operator: User, client_of: Any, clock: Any) -> None:
    client = client_of(operator)
    confirm(client)
    key = re.search(r'id="secret">([^<]+)<', client.get(APP).content.decode())[1].replace(" ", "")
    pending = json.dumps([session.get_decoded() for session in Session.objects.all()])
    client.post(APP, {"code": code_at(key, START)})
    codes = re.search(r'id="codes">([\d\s]+)<', client.get(CODES).content.decode())[1].split()

    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    after = json.dumps([session.get_decoded() for session in Session.objects.all()])

    for secret in (key, *codes):
        assert secret not in pending + stored + after


def test_a_lost_key_is_told_with_the_way_out(
    operator: User, secret: str, client_class: Any, settings: Any, tmp_path: Any
) -> None:
    settings.KEYS_DIR = tmp_path / "other"
    settings.KEYS_DIR.mkdir()
    encryption.ensure_key()
    client = enter_password(client_class, operator)

    html = client.post("/account/login/code/", {"code": code_at(secret, time.time())}).content.decode()

    assert "Ask an administrator to reset your two-factor sign-in." in html
    assert not signed_in(client)
