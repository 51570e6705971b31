"""Signing in and out, the password, and what the pages say when it does not work."""

from typing import Any

import pytest
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

    assert "Too many failed attempts for this user. Wait five minutes, then try again." in last.content.decode()
    assert sign_in(client, "operator", PASSWORD).status_code == 200


def test_a_flood_is_answered_429_in_words(client_class: Any) -> None:
    client = client_class()
    for number in range(31):
        response = sign_in(client, f"user{number}", "wrong")

    assert response.status_code == 429
    html = response.content.decode()
    assert "Too many attempts" in html
    assert "Wait a minute, then try again." in html


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
    ],
)
def test_a_refused_password_says_why_at_its_field(
    old: str, new: str, again: str, words: str, operator: Any, client_of: Any
) -> None:
    fields = {"oldpassword": old, "password1": new, "password2": again}

    html = client_of(operator).post("/account/password/", fields).content.decode()

    assert words in html.split('role="alert"')[1]
    assert User.objects.get(pk=operator.pk).check_password(PASSWORD)


def test_there_is_no_sign_up(client_class: Any) -> None:
    for path in ("/account/signup/", "/accounts/signup/", "/account/password/reset/"):
        assert client_class().get(path).status_code == 404
