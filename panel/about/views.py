"""What runs here: versions, certificate, licences."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from panel.about import facts, licences
from panel.accounts.permissions import requires


@never_cache
@require_safe
@requires("health.view")
def page(request: HttpRequest) -> HttpResponse:
    """Facts of this panel; nothing is asked of a node."""
    context = {"panel": facts.panel(), "parts": facts.parts(), "groups": licences.groups()}
    return render(request, "panel/about.html", context)
