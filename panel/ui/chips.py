"""Chips of a list that each stand for a set of filters in its address."""

from collections.abc import Mapping

from django.http import HttpRequest, QueryDict

from panel.ui.tables import Chip

_LOOK = ("columns", "sort", "rows")  # how the list looks, whatever it is filtered by
_NOT_FILTERS = ("page", *_LOOK)


def filter_chip(request: HttpRequest, label: str, count: int, query: Mapping[str, str], glyph: str = "") -> Chip:
    """A chip that asks for exactly these filters; it is the current one when the address has them and no others."""
    address = QueryDict(mutable=True)
    address.update({key: request.GET[key] for key in _LOOK if request.GET.get(key)})
    address.update(dict(query))
    wanted = {key: value for key, value in request.GET.items() if value and key not in _NOT_FILTERS}
    url = f"{request.path}?{address.urlencode()}" if address else request.path
    return Chip(label, url, count, current=wanted == dict(query), glyph=glyph)
