"""What every page of the shell needs."""

import json
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from panel.ui.navigation import groups_for

THEMES = ("light", "dark")
# Scripts and styles in answers are never run (the content security policy forbids them too). A form with errors is
# answered 422, a refused action 409: both bring a region of the page to show.
HTMX_CONFIG = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "timeout": 30000,
        # Copying "style" from an old element to a new one, as htmx does by default, sets an inline style.
        "attributesToSettle": ["class", "width", "height"],
        "responseHandling": [
            {"code": "204", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "409", "swap": True},
            {"code": "422", "swap": True},
            {"code": "[45]..", "swap": False, "error": True},
        ],
    }
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Variables of base.html; touches the database only when a template reads the lazy ones."""
    theme = request.COOKIES.get("theme", "")
    return {
        "instance": settings.INSTANCE,
        "version": settings.VERSION,
        "theme": theme if theme in THEMES else "",
        "htmx_config": HTMX_CONFIG,
        "navigation": lambda: groups_for(request),
    }
