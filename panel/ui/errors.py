"""Answers to requests that failed: a database that is away is no error of Mooring, and says what to do."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from panel.ui.htmx import is_fragment, refused

RETRY_AFTER = 10  # seconds


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler of what no view caught: 503 with the cause while the database is away, 500 otherwise."""
    error = sys.exc_info()[1]
    if not isinstance(error, OperationalError | InterfaceError):
        return server_error(request)
    cause, advice = _told(str(error))
    if is_fragment(request):
        answer = refused(request, cause, advice, "", status=503)
    else:
        answer = HttpResponse(render_to_string("503.html", {"cause": cause, "advice": advice}), status=503)
    answer["Retry-After"] = str(RETRY_AFTER)
    return answer


def _told(error: str) -> tuple[str, str]:
    """Cause and next step for what the database's library says."""
    text = error.lower()
    if "disk is full" in text or "no space left" in text:
        return (
            "The database could not be written: the disk of the panel is full. Nothing was changed.",
            "Make room on the panel's machine, then try again.",
        )
    if "locked" in text:
        return (
            "The database was busy for too long with something else. Nothing was changed.",
            "Try again. If it stays, see what else has the panel's database open.",
        )
    return (
        "The database does not answer. Tasks that run go on, and are recorded when it is back.",
        "Try again. If it stays, bin/logs web shows why.",
    )
