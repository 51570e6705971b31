"""What can be found. An app registers its sources when it starts; the page knows no domain:

    register(Source("nodes", "Nodes", "infrastructure.view", find_nodes, ("node", "nodes"), order=10))

A source is asked with the text the user typed and answers with the first hits and how many there are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from panel.accounts.models import User
from panel.accounts.permissions import can_anywhere

EVERYTHING = "all"
TEXT_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Hit:
    """One result: its name and page, its kind in words, its state (glyph and word), where it is, and what matched
    when that is not the name ("192.0.2.174")."""

    name: str
    url: str
    icon: str
    kind: str
    state: str = ""
    glyph: str = ""
    where: str = ""
    matched: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The hits `skip` to `skip + most` of `total`. `list_url` is a list that shows exactly these, if there is one."""

    hits: list[Hit]
    total: int
    list_url: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: the text, trimmed and in lower case as well, and which part of the hits is wanted."""

    text: str
    skip: int = 0
    most: int = 8

    @property
    def lower(self) -> str:
        return self.text.lower()


Find = Callable[[User, Query], Found]


@dataclass(frozen=True, slots=True)
class Source:
    """Something to search: its key in the address, its word ("VEs"), the right that shows it, and how to find.

    `order` is its place among the others. `narrow`: part of another source, so that only who chooses it is answered
    by it.
    """

    key: str
    label: str
    permission: str
    find: Find
    noun: tuple[str, str]
    order: int
    narrow: bool = False


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Declare a source. ValueError for a key that another one has."""
    if source.key == EVERYTHING or _sources.setdefault(source.key, source) != source:
        raise ValueError(f"something else is searched as {source.key!r}")


def sources_for(user: User) -> list[Source]:
    """The sources that the user may search at all, in their order."""
    own = [source for source in _sources.values() if can_anywhere(user, source.permission)]
    return sorted(own, key=lambda source: source.order)


def chosen(user: User, scope: str) -> list[Source]:
    """The sources of a scope: one by its key, all but the narrow ones for any other word."""
    own = sources_for(user)
    return [source for source in own if source.key == scope] or [source for source in own if not source.narrow]
