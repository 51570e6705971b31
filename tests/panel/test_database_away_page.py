"""A request that finds the database away: 503 with the cause and what to do, not an error of Mooring."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from panel.accounts.permissions import public

pytestmark = pytest.mark.django_db
_raised: list[Exception] = []


@public
def ask(request: HttpRequest) -> HttpResponse:
    raise _raised[-1]


def _urls() -> Any:
    from panel.urls import urlpatterns as real

    return [path("ask/", ask), *real]


urlpatterns = _urls()
handler500 = "panel.ui.errors.failed"


@pytest.fixture
def stranger(client_class: Any) -> Any:
    client = client_class(raise_request_exception=False)
    with override_settings(ROOT_URLCONF=__name__):
        yield client


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("database is locked"), "was busy for too long"),
        (OperationalError("database or disk is full"), "the disk of the panel is full"),
        (OperationalError("connection to server on socket failed"), "The database does not answer"),
        (InterfaceError("the connection is closed"), "The database does not answer"),
    ],
)
def test_the_page_says_what_is_wrong_with_the_database(stranger: Any, error: Exception, words: str) -> None:
    _raised.append(error)
    answer = stranger.get("/ask/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert words in answer.content.decode()
    assert str(error) not in answer.content.decode(), "the library's words are for the log"


def test_an_action_of_a_page_gets_a_note_instead_of_a_page(stranger: Any) -> None:
    _raised.append(OperationalError("database is locked"))
    answer = stranger.post("/ask/", headers={"HX-Request": "true"})

    assert answer.status_code == 503
    assert "was busy for too long" in answer["HX-Trigger"]
    assert answer.content == b""


def test_any_other_error_stays_one_of_mooring(stranger: Any) -> None:
    _raised.append(ValueError("a bug"))
    answer = stranger.get("/ask/")

    assert answer.status_code == 500
    assert "Mooring made an error" in answer.content.decode()


def test_the_panels_routes_name_this_handler() -> None:
    from panel import urls

    assert urls.handler500 == handler500
