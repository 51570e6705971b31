"""Health: a public answer for monitoring, and a page that says what to do and what has happened."""

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from panel.accounts.permissions import public, requires
from panel.health import history
from panel.health.checks import report
from panel.health.machine import certificates, days_left, full_report, state_of_days
from panel.ui.htmx import is_fragment, render_page

GLYPHS = {"ok": "ok", "warn": "warn", "crit": "crit", "unknown": "unreachable"}
WORDS = {"ok": "All in order", "degraded": "Something is not in order", "failed": "The database does not answer"}


@never_cache
@require_safe
@public
def healthz(request: HttpRequest) -> JsonResponse:
    """States and ages, nothing else. 503 when the database fails: then the panel cannot serve pages."""
    found = report()
    parts = {
        part.name: {"state": part.state, "age_s": None if part.age is None else round(part.age, 1), "text": part.text}
        for part in found.parts
    }
    return JsonResponse({"status": found.status, "parts": parts}, status=503 if found.status == "failed" else 200)


@never_cache
@require_safe
@requires("health.view")
def page(request: HttpRequest) -> HttpResponse:
    """Each part in words with its strip; to htmx the parts alone every 5 s, events and figures every minute."""
    asked = request.GET.get("range", "")
    key = asked if asked in history.RANGES else "24h"
    found = full_report()
    titles = {part.name: part.title for part in found.parts}
    context: dict[str, Any] = {
        "status": found.status,
        "words": WORDS[found.status],
        "range": key,
        "ranges": [(name, words) for name, (words, _) in history.RANGES.items()],
        "certificates": [
            (one, days_left(one.expires_at), GLYPHS[state_of_days(days_left(one.expires_at))]) for one in certificates()
        ],
    }
    now = timezone.now()
    words, length = history.RANGES[key]
    try:
        spans = history.spans(now, length)
        wanted = not is_fragment(request) or request.htmx.target == "health-history"  # type: ignore[attr-defined]
        context |= {"events": history.events(spans, titles, now), "charts": history.charts(now, key)} if wanted else {}
    except DatabaseError:
        spans = []  # the part above says it
    context["rows"] = [
        (
            part,
            GLYPHS[part.state],
            history.strip([span for span in spans if span.name == part.name], part.title, now, length, words),
        )
        for part in found.parts
    ]
    context["glyphs"] = GLYPHS
    return render_page(request, "panel/health.html", context, regions=("health-history",), fallback="health-parts")
