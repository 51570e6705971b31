"""The tree's fragments: a window of its rows. What is open is the browser's to say; it keeps it in a cookie."""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from infrastructure import tree
from infrastructure.tree_shape import OPEN_AT_MOST, OVERSCAN, ROWS_AT_MOST, ROWS_IN_VIEW, Want
from panel.accounts.permissions import requires
from panel.ui.signed_in import user_of

DIGITS = 18  # what a database takes as an id
YEAR = 365 * 24 * 3600
_COOKIE = re.compile(r"(?P<open>[^_]*)(?:_(?P<top>[0-9]{1,9})\.(?P<rows>[0-9]{1,4}))?")


def tree_cookie() -> str:
    """Name of the cookie that holds the open nodes; a host's panels share cookies, so it names the instance."""
    return f"mooring_{settings.INSTANCE}_tree"


def left_open(request: HttpRequest) -> tuple[list[int], int, int]:
    """How the user left the tree: the open nodes, newest first, the first row in view and how many are.

    The cookie reads "3.5.9_120.31".
    """
    match = _COOKIE.fullmatch(request.COOKIES.get(tree_cookie(), ""))
    if match is None:
        return [], 0, ROWS_IN_VIEW
    in_view = int(match["rows"] or ROWS_IN_VIEW)
    return _numbers(match["open"], "."), int(match["top"] or 0), max(1, min(in_view, ROWS_AT_MOST - 2 * OVERSCAN))


@requires("infrastructure.view")
@require_safe
def tree_fragment(request: HttpRequest) -> HttpResponse:
    """GET /tree/?open=3,5&selected=ve:7&q=…&first=100&rows=70: these rows.

    `find=web&after=12` is the window about the next row of that name; `mark` names what the browser shows already:
    204 when that is what it would get.
    """
    want = _want(request)
    prefix = request.GET.get("find", "")[:100]
    if prefix:
        shown = tree.find(user_of(request), want, prefix, _number(request, "after"))
    else:
        shown = tree.window(user_of(request), want)
    if not prefix and request.GET.get("mark") == shown.mark:
        return HttpResponse(status=204)
    return render(request, "infrastructure/_tree_window.html", {"tree": shown})


@requires("infrastructure.view")
@require_safe
def tree_ves(request: HttpRequest) -> HttpResponse:
    """GET /tree/ves/?…&first=3&last=900: the ids of the VEs in these rows, {"ves": [7, 8]}."""
    first, last = sorted((_number(request, "first"), _number(request, "last")))
    return JsonResponse({"ves": tree.ves_between(user_of(request), _want(request), first, last)})


@requires("infrastructure.view")
@require_POST
def tree_fold(request: HttpRequest) -> HttpResponse:
    """POST /tree/fold/, open=3 or close=3: where scripts do not run (yet) the arrow opens or closes a branch."""
    opened, top, rows = left_open(request)
    closing = _numbers(request.POST.get("close", ""), " ")
    opening = _numbers(request.POST.get("open", ""), " ")
    opened = [*opening, *(node for node in opened if node not in (*opening, *closing))]
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("infrastructure:nodes")
    response = HttpResponseRedirect(back)
    value = f"{'.'.join(map(str, opened[:OPEN_AT_MOST]))}_{top}.{rows}"
    response.set_cookie(tree_cookie(), value, max_age=YEAR, secure=settings.HTTPS, samesite="Lax")
    return response


def _want(request: HttpRequest) -> Want:
    return Want(
        opened=frozenset(_numbers(request.GET.get("open", ""), ",")),
        closed=frozenset(_numbers(request.GET.get("closed", ""), ",")),
        selected=request.GET.get("selected", ""),
        query=request.GET.get("q", "").replace("\x00", "")[:100].strip(),
        first=_number(request, "first"),
        rows=_number(request, "rows") or ROWS_IN_VIEW + 2 * OVERSCAN,
    )


def _number(request: HttpRequest, name: str) -> int:
    return next(iter(_numbers(request.GET.get(name, ""), " ")), 0)


def _numbers(text: str, separator: str) -> list[int]:
    parts = text.split(separator)[:OPEN_AT_MOST]
    return [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= DIGITS]
