"""Health: a public answer for monitoring, and a page that says what to do."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from panel.accounts.permissions import public, requires
from panel.health.checks import report
from panel.ui.htmx import render_page

GLYPHS = {"ok": "ok", "warn": "warn", "crit": "crit", "unknown": "unreachable"}
WORDS = {"ok": "All parts run", "degraded": "Some parts do not run", "failed": "The database does not answer"}


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
    """Each part in words; to htmx, every 5 s, the parts alone."""
    found = report()
    rows = [(part, GLYPHS[part.state]) for part in found.parts]
    context = {"rows": rows, "status": found.status, "words": WORDS[found.status]}
    return render_page(request, "panel/health.html", context, fallback="health-parts")
