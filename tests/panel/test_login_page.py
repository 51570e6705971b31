"""Signing in and out, the password, and what the pages say when it does not work."""

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache

from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"


@pytest.fixture(autouse=True)
def _no_earlier_attempts() -> None:
    """Rate limits are kept in the cache table, which a test's transaction does not always cover."""
    cache.clear()


def sign_in(client: Any, user: str, secret: str, **fields: str) -> Any:
    return client.post(LOGIN, {"login": user, "password": secret, **fields})


def test_the_form_is_labelled_and_asks_for_a_password_only(client_class: Any) -> None:
    html = client_class().get(LOGIN).content.decode()

    assert '<label for="id_login">User name</label>' in html
    assert '<label for="id_password">Password</label>' in html
    assert html.count("<form") == 1
    for absent in ("sign up", "Forgot", "social", "please", "!</"):
        assert absent not in html


def test_a_right_password_leads_to_the_page_that_was_asked_for(operator: Any, client_class: Any) -> None:
    client = client_class()
    asked = client.get("/tasks/")
    assert asked["Location"] == f"{LOGIN}?next=/tasks/"
    assert 'name="next" value="/tasks/"' in client.get(asked["Location"]).content.decode()

    response = sign_in(client, "operator", PASSWORD, next="/tasks/")

    assert response.status_code == 302
    assert response["Location"] == "/tasks/"
    assert client.get("/tasks/").status_code == 200


def test_cookies_are_bound_to_https_and_hidden_from_scripts(operator: Any, client_class: Any) -> None:
    client = client_class()
    client.get(LOGIN)
    sign_in(client, "operator", PASSWORD)

    session = client.cookies["mooring_main_session"]
    assert session["secure"]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert client.cookies["mooring_main_csrf"]["secure"]


def test_a_session_from_before_the_login_is_not_kept(operator: Any, client_class: Any) -> None:
    client = client_class()
    client.get(LOGIN)
    sign_in(client, "operator", "wrong")
    before = client.session.session_key

    sign_in(client, "operator", PASSWORD)

    assert client.session.session_key != before


def test_an_address_elsewhere_is_not_followed(operator: Any, client_class: Any) -> None:
    response = sign_in(client_class(), "operator", PASSWORD, next="https://elsewhere.example/")

    assert response["Location"] == "/"


def test_a_wrong_password_is_an_alert_that_does_not_tell_which_part_is_wrong(operator: Any, client_class: Any) -> None:
    known = sign_in(client_class(), "operator", "wrong").content.decode()
    unknown = sign_in(client_class(), "nobody", "wrong").content.decode()

    for html in (known, unknown):
        assert 'role="alert"' in html
        assert "The user name or the password is wrong." in html
    assert 'value="operator"' in known
    assert "wrong" not in known.split('name="password"')[1].split(">")[0]
    assert AuditRecord.objects.filter(action="account.login", result="failed").count() == 2


def test_a_missing_field_is_said_at_the_field(client_class: Any) -> None:
    html = sign_in(client_class(), "operator", "").content.decode()

    assert 'aria-invalid="true" aria-describedby="id_password-error"' in html


def test_guessing_is_stopped_even_for_the_right_password(operator: Any, client_class: Any) -> None:
    client = client_class()
    for _ in range(6):
        last = sign_in(client, "operator", "wrong")

    found = re.search(r"Too many failed attempts .* Try again in (\d+) minutes", last.content.decode())
    assert found
    assert 4 <= int(found[1]) <= 5
    assert sign_in(client, "operator", PASSWORD).status_code == 200


def test_a_guesser_who_varies_the_address_of_the_panel_gains_nothing(operator: Any, client_class: Any) -> None:
    client = client_class()
    for port in range(6):
        host = f"localhost:{9000 + port}"
        headers = {"Host": host, "Origin": f"https://{host}", "Referer": f"https://{host}/"}
        last = client.post(LOGIN, {"login": "operator", "password": "wrong"}, headers=headers)

    assert "Too many failed attempts" in last.content.decode()


def test_a_guesser_from_many_addresses_is_stopped_at_the_account(operator: Any, client_class: Any) -> None:
    for number in range(6):
        last = client_class(REMOTE_ADDR=f"192.0.2.{number + 1}").post(LOGIN, {"login": "Operator", "password": "wrong"})

    assert "Too many failed attempts" in last.content.decode()


def test_names_that_do_not_exist_are_limited_like_those_that_do(operator: Any, client_class: Any) -> None:
    """Else the limit would tell which names exist."""
    answers = {}
    for name in ("operator", "nobody"):
        cache.clear()
        answers[name] = [sign_in(client_class(), name, "wrong").content.decode().count("Too many") for _ in range(7)]

    assert answers["operator"] == answers["nobody"]
    assert sum(answers["nobody"]) == 2


def test_a_name_that_does_not_exist_costs_as_much_hashing_as_one_that_does(
    operator: Any, make_user: Any, client_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an answer's time would tell."""
    make_user("gone")
    User.objects.filter(username="gone").update(is_active=False)
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher,
        "encode",
        lambda self, password, salt: hashed.append(password) or encode(self, password, salt),
    )
    costs = {}
    for name in ("operator", "nobody", "gone"):
        hashed.clear()
        sign_in(client_class(), name, "wrong")
        costs[name] = len(hashed)

    assert costs["operator"] == costs["nobody"] == costs["gone"] > 0


def test_an_account_that_is_switched_off_answers_like_a_wrong_password(make_user: Any, client_class: Any) -> None:
    make_user("gone")
    User.objects.filter(username="gone").update(is_active=False)

    html = sign_in(client_class(), "gone", PASSWORD).content.decode()

    assert "The user name or the password is wrong." in html


def test_a_flood_is_answered_429_that_says_when_to_try_again(client_class: Any) -> None:
    client = client_class()
    for number in range(31):
        response = sign_in(client, f"user{number}", "wrong")

    assert response.status_code == 429
    html = response.content.decode()
    assert "Too many attempts" in html
    found = re.search(r"Try again in (\d+) s\.", html)
    assert found
    assert int(found[1]) == int(response["Retry-After"]) <= 60


def test_counters_of_attempts_are_not_pushed_out_by_a_flood_of_names(operator: Any, client_class: Any) -> None:
    for _ in range(5):
        sign_in(client_class(REMOTE_ADDR="192.0.2.1"), "operator", "wrong")
    for number in range(600):
        cache.set(f"another:{number}", 1, 300)

    last = sign_in(client_class(REMOTE_ADDR="192.0.2.2"), "operator", PASSWORD)

    assert "Too many failed attempts" in last.content.decode()


def test_signing_out_takes_a_post(operator: Any, client_of: Any) -> None:
    client = client_of(operator)
    page = client.get("/account/logout/")
    assert page.status_code == 200
    assert "You are signed in as operator." in page.content.decode()
    assert client.get("/tasks/").status_code == 200

    client.post("/account/logout/")

    assert client.get("/tasks/").status_code == 302


def test_the_password_is_changed_and_other_sessions_end(operator: Any, client_of: Any) -> None:
    here, elsewhere = client_of(operator), client_of(operator)
    new = "another long pass phrase"

    response = here.post("/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new})

    assert response.status_code == 302
    assert User.objects.get(pk=operator.pk).check_password(new)
    assert here.get("/health/").status_code == 200
    assert elsewhere.get("/health/").status_code == 302


@pytest.mark.parametrize(
    ("old", "new", "again", "words"),
    [
        ("wrong", "another long pass phrase", "another long pass phrase", "This is not your current password."),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, "another long pass phrase", "not the same phrase", "same password"),
        (PASSWORD, PASSWORD, PASSWORD, "the password you have now"),
        (PASSWORD, "operator-operator", "operator-operator", "little more than the name"),
        (PASSWORD, "1qaz2wsx3edc", "1qaz2wsx3edc", "common ones"),
        (PASSWORD, "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "too few characters"),
    ],
)
def test_a_refused_password_says_why_at_its_field(
    old: str, new: str, again: str, words: str, operator: Any, client_of: Any
) -> None:
    fields = {"oldpassword": old, "password1": new, "password2": again}

    answer = client_of(operator).post("/account/password/", fields)

    html = answer.content.decode()
    assert answer.status_code == 422
    assert words in html.split('role="alert"')[1]
    assert User.objects.get(pk=operator.pk).check_password(PASSWORD)


def test_there_is_no_sign_up(client_class: Any) -> None:
    for path in ("/account/signup/", "/accounts/signup/", "/account/password/reset/"):
        assert client_class().get(path).status_code == 404


def test_the_rules_stand_at_the_field_before_anything_is_typed(operator: Any, client_of: Any) -> None:
    html = client_of(operator).get("/account/password/").content.decode()

    assert 'aria-describedby="id_password1-help"' in html
    assert "At least 12 characters" in html.split('id="id_password1-help"')[1].split("</div>")[0]


def test_guessing_the_current_password_is_stopped_and_recorded(operator: Any, client_of: Any) -> None:
    client = client_of(operator)
    new = "another long pass phrase"
    for _ in range(6):
        answer = client.post("/account/password/", {"oldpassword": "wrong", "password1": new, "password2": new})

    assert answer.status_code == 429
    assert "Try again in" in answer.content.decode()
    assert AuditRecord.objects.filter(action="account.password", result="failed").count() == 5
