"""Chips of a list that each stand for a set of filters in its address."""

from collections.abc import Mapping

from django.http import HttpRequest, QueryDict

from panel.ui.tables import Chip

_NOT_FILTERS = ("page", "sort", "rows")


def filter_chip(request: HttpRequest, label: str, count: int, query: Mapping[str, str], glyph: str = "") -> Chip:
    """A chip that asks for exactly these filters; it is the current one when the address has them and no others."""
    address = QueryDict(mutable=True)
    address.update(dict(query))
    wanted = {key: value for key, value in request.GET.items() if value and key not in _NOT_FILTERS}
    url = f"{request.path}?{address.urlencode()}" if query else request.path
    return Chip(label, url, count, current=wanted == dict(query), glyph=glyph)
