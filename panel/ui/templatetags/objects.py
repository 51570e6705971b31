"""Links to objects by type and id, for pages that know no domain."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from panel.ui import objects

register = template.Library()


@register.simple_tag
def object_link(type: str, id: int | str | None, name: object) -> SafeString | str:
    """The object's icon and its name, linked when it has a page."""
    if not name:
        return ""
    kind, url = objects.kind_of(type), objects.url_of(type, id)
    label = format_html('<a href="{}">{}</a>', url, name) if url else format_html("<span>{}</span>", name)
    if kind is None:
        return label
    return format_html('<span class="obj"><i class="ti ti-{}" aria-hidden="true"></i>{}</span>', kind.icon, label)


@register.simple_tag
def object_word(type: str) -> str:
    """The word for a type of object: "Node"."""
    kind = objects.kind_of(type)
    return kind.word if kind else type.replace("_", " ").capitalize()
