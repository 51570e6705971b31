"""How tasks, steps and the objects they are about are written on pages."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from panel.ui import format as fmt
from tasks import figures
from tasks.choices import APPEARANCE
from tasks.logbook import Entry, depth_of
from tasks.models import Task, TaskStep

register = template.Library()
register.filter("shown_figures", figures.shown)


def precise(seconds: float) -> str:
    """Seconds as a step's duration: "0.8 s", "12 s", "1 min 3 s"."""
    return f"{max(0.0, seconds):.1f} s" if seconds < 10 else fmt.duration(seconds)


@register.simple_tag
def took(begin: datetime | None, end: datetime | None) -> SafeString | str:
    """From begin to end; while there is no end the browser keeps counting."""
    if begin is None:
        return ""
    if end is not None:
        return precise((end - begin).total_seconds())
    words = fmt.duration((timezone.now() - begin).total_seconds())
    return format_html('<span data-elapsed="{}">{}</span>', begin.isoformat(), words)


@register.simple_tag
def progress_bar(value: int, label: str, size: str = "") -> SafeString:
    """How far something is, 0 to 100. Unlike a meter of use it never warns: full is good."""
    width = max(0, min(100, value))
    return format_html(
        '<svg class="meter {}" viewBox="0 0 100 6" preserveAspectRatio="none" role="meter" aria-label="{}"'
        ' aria-valuemin="0" aria-valuemax="100" aria-valuenow="{}"><rect width="{}" height="6"/></svg>',
        size,
        label,
        width,
        width,
    )


@register.simple_tag
def time_left(task: Task) -> str:
    """A guess by the figures, or by the pace so far: "about 9 s left"; empty when there is nothing to go by."""
    rate, remaining = (task.figures.get(key) for key in ("rate_mib", "remaining_mib"))
    if rate and remaining:
        return f"about {fmt.coarse(remaining / rate)} left"
    if not task.started_at or task.progress is None or not 5 <= task.progress < 100:
        return ""
    elapsed = (timezone.now() - task.started_at).total_seconds()
    return f"about {fmt.coarse(elapsed * (100 - task.progress) / task.progress)} left"


@register.filter
def glyph_of(row: Task | TaskStep) -> str:
    """The glyph of a state."""
    return APPEARANCE[row.state][0]


@register.filter
def word_of(row: Any) -> str:
    """The word of a state."""
    return str(row.get_state_display())


@register.filter
def is_step(entry: Any) -> bool:
    """Whether a log entry is a step; otherwise it is a line."""
    return isinstance(entry, TaskStep)


@register.filter
def indent(entry: Entry) -> int:
    """How deep an entry stands, at most as deep as there are classes for."""
    return min(entry.depth if isinstance(entry, TaskStep) else depth_of(entry), 5)
