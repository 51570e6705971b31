"""Links to objects by (type, id): what the audit trail and the task log hold, which know no domain.

The app that owns a type registers it when it starts.
"""

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of object: the route of its page (one argument, the id; none when `single`), its icon and its word."""

    type: str
    route: str
    icon: str
    word: str
    single: bool = False


_kinds: dict[str, Kind] = {}


def register(type: str, *, route: str, icon: str, word: str, single: bool = False) -> None:
    """Declare a type of object, such as ("ve", route="infrastructure:ve", icon="device-desktop", word="VE").

    single: all objects of the type have one page, such as a list of them.
    """
    _kinds[type] = Kind(type, route, icon, word, single)


def kind_of(type: str) -> Kind | None:
    """The declaration of a type; None when no app has registered it."""
    return _kinds.get(type)


def url_of(type: str, id: int | str | None) -> str:
    """The page of an object; empty when it has none."""
    kind = _kinds.get(type)
    if kind is None or id in (None, ""):
        return ""
    try:
        return reverse(kind.route, args=[] if kind.single else [id])
    except NoReverseMatch:
        return ""
