"""The dock and the indicator of base.html: read once for a page."""

from typing import Any

from django import template

from panel.accounts.permissions import can_anywhere
from tasks import dock
from tasks.scopes import reader_of

register = template.Library()
_KEPT = "_recent_tasks"


@register.simple_tag(takes_context=True)
def recent_tasks(context: dict[str, Any]) -> dock.Dock:
    """What the dock shows to the user of the page; nothing to whom may not see tasks."""
    request = context["request"]
    if not hasattr(request, _KEPT):
        seen = can_anywhere(request.user, "task.view")
        setattr(request, _KEPT, dock.read(reader_of(request.user)) if seen else dock.NOTHING)
    kept: dock.Dock = getattr(request, _KEPT)
    return kept
