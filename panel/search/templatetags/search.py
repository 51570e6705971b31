"""The search field of the top bar, and the marks in its results."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from panel.accounts.models import User
from panel.search.registry import EVERYTHING, TEXT_AT_MOST, sources_for

register = template.Library()


@register.inclusion_tag("search/_field.html", takes_context=True)
def search_field(context: dict[str, Any]) -> dict[str, Any]:
    """The field with its scopes; on the page of results it holds what was searched."""
    request = context.get("request")
    user = getattr(request, "user", None)
    scopes = [(source.key, source.label) for source in sources_for(user)] if isinstance(user, User) else []
    return {
        "scopes": [(EVERYTHING, "Everything"), *scopes] if scopes else [],
        "text": context.get("text", "") if "searched" in context else "",
        "scope": context.get("scope", EVERYTHING) if "searched" in context else EVERYTHING,
        "most": TEXT_AT_MOST,
    }


@register.simple_tag
def marked(name: str, text: str) -> SafeString:
    """The name with the first place that the text matched marked."""
    at = name.lower().find(text.lower()) if text else -1
    if at < 0:
        return format_html("{}", name)
    end = at + len(text)
    return format_html("{}<mark>{}</mark>{}", name[:at], name[at:end], name[end:])
