"""Template tags of the storage's pages."""

from collections.abc import Mapping

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from storage.overview import Unit

register = template.Library()


@register.simple_tag
def node_link(name: str, nodes: Mapping[str, int]) -> SafeString | str:
    """The name of a host, linked to the panel's node of that name where there is one (name → id)."""
    pk = nodes.get(name)
    if pk is None:
        return name
    return format_html('<a href="{}">{}</a>', reverse("infrastructure:node", args=[pk]), name)


@register.simple_tag
def in_unit(value: int, unit: Unit) -> str:
    """Bytes as a bare number of a unit that the header names: "6.1"."""
    return unit.words(value)
