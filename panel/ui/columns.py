"""Columns of a list: what there is, what one user chose, and what the address asks for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

SEPARATOR = ","


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in the address, header, model fields to sort by, and the filter field below the header.

    `descending` columns begin with the largest value; `minor` ones go on narrow screens; `fixed` ones cannot be hidden;
    `extra` ones are shown only to those who chose them. `words` names it in the chooser where the header is too short.
    """

    key: str
    label: str
    order: tuple[str, ...] = ()
    filter: str = ""
    numeric: bool = False
    minor: bool = False
    descending: bool = False
    fixed: bool = False
    extra: bool = False
    words: str = ""

    @property
    def title(self) -> str:
        return self.words or self.label


@dataclass(frozen=True, slots=True)
class Header:
    """A column as the page shows it; `next_sort` is what its button asks for, empty when it cannot be sorted."""

    column: Column
    aria_sort: str
    next_sort: str
    field: Any = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the column chooser."""

    column: Column
    shown: bool
    first: bool = False
    last: bool = False


def default_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(column for column in columns if not column.extra)


def chosen_columns(columns: Sequence[Column], keys: Iterable[str]) -> tuple[Column, ...]:
    """The columns of these keys in this order, each once; unknown keys are left out and fixed columns put back."""
    known = {column.key: column for column in columns}
    chosen = [known[key] for key in dict.fromkeys(keys) if key in known]
    missing = [column for column in columns if column.fixed and column not in chosen]
    return (*missing, *chosen)


def parse_keys(text: str) -> list[str]:
    """The keys of an address: "status,name,cpu"."""
    return [key for key in text.split(SEPARATOR) if key]


def join_keys(columns: Iterable[Column]) -> str:
    return SEPARATOR.join(column.key for column in columns)


def choices(columns: Sequence[Column], shown: Sequence[Column]) -> list[Choice]:
    """The chooser's lines: what is shown in its order, then what is not."""
    last = len(shown) - 1
    lines = [Choice(column, True, place == 0, place == last) for place, column in enumerate(shown)]
    return [*lines, *(Choice(column, False) for column in columns if column not in shown)]


def in_order(rows: Iterable[Any], column: Column, tie_break: Sequence[str], *, down: bool) -> list[Any]:
    """Objects by the attributes that the column sorts by, those that are equal by `tie_break`; none may be None."""
    return sorted(sorted(rows, key=attrgetter(*tie_break)), key=attrgetter(*column.order), reverse=down)


def moved(columns: Sequence[Column], key: str, step: int) -> tuple[Column, ...]:
    """The columns with one of them a place further left (-1) or right (+1)."""
    found = list(columns)
    place = next((index for index, column in enumerate(found) if column.key == key), None)
    if place is not None and 0 <= place + step < len(found):
        found[place], found[place + step] = found[place + step], found[place]
    return tuple(found)
