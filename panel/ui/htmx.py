"""Answers to htmx: a region, an accepted or refused action; each with a plain form for browsers without script."""

import json
from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def is_fragment(request: HttpRequest) -> bool:
    """Whether only a region is asked for; coming back through the history asks for the whole page."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.history_restore_request


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    regions: Collection[str] = (),
    fallback: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page, or the one region that htmx names as its target.

    `regions` are ids of elements; each is a partial of the template by the same name. `fallback` is the partial for
    fragment requests that name another target.
    """
    name = template
    if is_fragment(request):
        target = request.htmx.target  # type: ignore[attr-defined]
        if target in regions:
            name = f"{template}#{target}"
        elif fallback:
            name = f"{template}#{fallback}"
    response = render(request, name, context, status=status)
    patch_vary_headers(response, ("HX-Request", "HX-Target"))
    return response


def accepted(request: HttpRequest, event: str, detail: dict[str, Any], redirect_to: str) -> HttpResponse:
    """204 with an event for the page's scripts; without script a redirect."""
    if not is_fragment(request):
        return HttpResponseRedirect(redirect_to)
    response = HttpResponse(status=204)
    response["HX-Trigger"] = json.dumps({event: detail})
    return response


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Another page is next: a redirect, of which htmx has to be told in a header, or it puts the page into a region."""
    if not is_fragment(request):
        return HttpResponseRedirect(url)
    response = HttpResponse(status=204)
    response["HX-Redirect"] = url
    return response


def done(
    request: HttpRequest, text: str, redirect_to: str, changed: dict[str, list[int]] | None = None
) -> HttpResponse:
    """Something was changed at once: a note says so, and the regions that show `changed` are read again."""
    if not is_fragment(request):
        messages.success(request, text)
        return HttpResponseRedirect(redirect_to)
    response = HttpResponse(status=204)
    response["HX-Trigger"] = json.dumps(
        {
            "mooring:done": {},
            "mooring:note": {"tone": "ok", "text": text},
            "mooring:inventory": {"data": changed or {}},
        }
    )
    return response


def refused(
    request: HttpRequest, text: str, advice: str, back: str, *, link: tuple[str, str] = ("", ""), status: int = 409
) -> HttpResponse:
    """The action was refused: cause, next step and a link (url, label), as a note; without script on the last page."""
    if not is_fragment(request):
        messages.error(request, f"{text} {advice}".strip())
        return HttpResponseRedirect(back)
    response = HttpResponse(status=status)
    response["HX-Reswap"] = "none"
    response["HX-Trigger"] = json.dumps(
        {"mooring:note": {"tone": "crit", "text": text, "advice": advice, "url": link[0], "label": link[1]}}
    )
    return response
