"""Error pages: in the panel's style, with the cause and the next step."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from panel.accounts.permissions import public

pytestmark = pytest.mark.django_db


@public
def deny(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("vmtest lies in a part of the tree that you may not see.")


@public
def suspect(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("made up")


@public
def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("the inside of Mooring")


def _urls() -> Any:
    from panel.urls import urlpatterns as real

    return [path("deny/", deny), path("suspect/", suspect), path("fail/", fail), *real]


urlpatterns = _urls()


@pytest.fixture
def stranger(client_class: Any) -> Any:
    client = client_class(raise_request_exception=False)
    with override_settings(ROOT_URLCONF=__name__):
        yield client


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/deny/", 403, "vmtest lies in a part of the tree that you may not see."),
        ("/suspect/", 400, "The request was not understood"),
        ("/fail/", 500, "Mooring made an error"),
        ("/not/here/", 404, "There is no page at /not/here/."),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(address: str, status: int, words: str, stranger: Any) -> None:
    response = stranger.get(address)
    html = response.content.decode()

    assert response.status_code == status
    assert words in html
    assert f"Error {status}" in html
    assert 'id="next-step"' in html
    assert "the inside of Mooring" not in html
    assert "<style" not in html
    assert " style=" not in html


def test_a_role_that_lacks_the_right_is_told_which_right(viewer: Any, client_of: Any) -> None:
    html = client_of(viewer).get("/audit/").content.decode()

    assert "Your role lacks the permission audit.view." in html
    assert "You are signed in as viewer." in html


def test_an_address_is_text_never_markup(stranger: Any) -> None:
    html = stranger.get("/<script>alert(1)</script>/").content.decode()

    assert "<script>alert" not in html
