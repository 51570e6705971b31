"""Template tags of the shared components: glyphs, status, meters, quantities and times."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from panel.accounts.permissions import can
from panel.ui import format as fmt

register = template.Library()

register.filter("space", fmt.space)
register.filter("gib", fmt.gib)
register.filter("rate", fmt.rate)
register.filter("percent", fmt.percent)
register.filter("duration", fmt.duration)
register.filter("coarse", fmt.coarse)


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of Tabler's web font, hidden from assistive technology: the words beside it carry the meaning."""
    return format_html('<i class="ti ti-{}" aria-hidden="true"></i>', name)


@register.simple_tag
def glyph(name: str) -> SafeString:
    """A state's glyph, drawn by glyphs.css; the progress glyph turns."""
    spin = " spin" if name == "progress" else ""
    return format_html('<i class="st {}{}" aria-hidden="true"></i>', name, spin)


@register.simple_tag
def status(name: str, word: str, state: str = "") -> SafeString:
    """Glyph and word of a state, as in a Status column; `state` is what tests and styles read, the glyph by default."""
    return format_html('<span class="s" data-state="{}">{}{}</span>', state or name, glyph(name), word)


@register.simple_tag
def pill(name: str, tone: str, word: str, state: str = "") -> SafeString:
    """A state as a pill, for page heads."""
    return format_html('<span class="pill {}" data-state="{}">{}{}</span>', tone, state or name, glyph(name), word)


@register.simple_tag
def meter(value: float, label: str, size: str = "") -> SafeString:
    """A bar of 0 to 100: accent, warning from 80, critical from 90; one element, as lists have a hundred of them.

    A value at `low` or `high` is not beyond it.
    """
    return format_html(
        '<meter class="meter {}" min="0" max="100" low="79.9" high="89.9" optimum="0" value="{}" aria-label="{}">'
        "</meter>",
        size,
        round(max(0.0, min(100.0, float(value))), 1),
        label,
    )


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """A moment, which the browser rewrites in its own zone."""
    if moment is None:
        return ""
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), fmt.clock(moment))


@register.simple_tag
def age(moment: datetime | None) -> SafeString | str:
    """How long ago a moment was, "2 s ago", which the browser keeps counting."""
    if moment is None:
        return fmt.NO_DATA
    words = fmt.coarse(fmt.seconds_since(moment))
    return format_html('<time datetime="{}" data-age>{} ago</time>', moment.isoformat(), words)


@register.simple_tag
def uptime(moment: datetime | None) -> str:
    """How long something has been up, in one unit; empty when that is not known."""
    return fmt.coarse(fmt.seconds_since(moment)) if moment else ""


@register.simple_tag(takes_context=True)
def allowed(context: dict[str, Any], permission: str, obj: object | None = None) -> bool:
    """Whether the user of the page may do that: {% allowed "node.manage" as may_manage %}."""
    return can(context["request"].user, permission, obj)
