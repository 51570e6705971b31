"""Lists as declarations: columns, sort keys and page sizes; the state of a list lives in the address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key in the address, header, model fields to sort by, and the filter field below the header.

    `descending` columns begin with the largest value; `minor` ones go on narrow screens.
    """

    key: str
    label: str
    order: tuple[str, ...] = ()
    filter: str = ""
    numeric: bool = False
    minor: bool = False
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """A column as the page shows it; `next_sort` is what its button asks for, empty when it cannot be sorted."""

    column: Column
    aria_sort: str
    next_sort: str
    field: Any = None


class Table:
    """Base of the lists. `noun` is (singular, plural); the last sort key makes the order total."""

    columns: ClassVar[Sequence[Column]]
    row_template: ClassVar[str]
    noun: ClassVar[tuple[str, str]]
    region: ClassVar[str]
    label: ClassVar[str]
    default_sort: ClassVar[str] = "name"
    tie_break: ClassVar[tuple[str, ...]] = ("name", "pk")
    sizes: ClassVar[tuple[int, ...]] = (20, 50, 100, 200)
    default_size: ClassVar[int] = 50

    def __init__(self, request: HttpRequest, rows: QuerySet[Any], form: Any = None, context: Any = None) -> None:
        self.request = request
        self.queryset = rows
        self.form = form
        self.context = context

    @cached_property
    def sort(self) -> str:
        """The column to sort by, with a minus for descending; the default when the address names none that exists."""
        asked = self.request.GET.get("sort", "")
        known = {column.key for column in self.columns if column.order}
        return asked if asked.removeprefix("-") in known else self.default_sort

    @cached_property
    def size(self) -> int:
        asked = self.request.GET.get("rows", "")
        return int(asked) if asked.isdigit() and int(asked) in self.sizes else self.default_size

    @cached_property
    def page(self) -> Page[Any]:
        """The page the address names; the nearest one when it is out of range."""
        paginator = Paginator(self.queryset.order_by(*self._order()), self.size)
        return paginator.get_page(self.request.GET.get("page"))

    @cached_property
    def rows(self) -> list[Any]:
        return self.decorate(list(self.page.object_list))

    def decorate(self, rows: list[Any]) -> list[Any]:
        """Give the rows of the page what their template needs."""
        return rows

    @property
    def total(self) -> int:
        return self.page.paginator.count

    @property
    def found(self) -> str:
        """ "3 nodes found"."""
        return f"{self.total:,} {self._noun} found"

    @property
    def range_words(self) -> str:
        """ "1-50 of 1,143 VEs", with an en dash."""
        if not self.total:
            return f"0 {self.noun[1]}"
        return f"{self.page.start_index():,}\u2013{self.page.end_index():,} of {self.total:,} {self._noun}"

    @property
    def _noun(self) -> str:
        return self.noun[0] if self.total == 1 else self.noun[1]

    @cached_property
    def headers(self) -> list[Header]:
        return [self._header(column) for column in self.columns]

    @property
    def filtered(self) -> bool:
        """Whether a filter hides rows."""
        return bool(self.form is not None and any(self.request.GET.get(name) for name in self.form.fields))

    @property
    def url(self) -> str:
        """This very list: filters, sort and page, without what is empty."""
        return self.address()

    @property
    def clear_url(self) -> str:
        """The list without its filters."""
        names = self.form.fields if self.form is not None else ()
        return self.address(page=None, **dict.fromkeys(names))

    @property
    def previous_url(self) -> str:
        return self.address(page=self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def next_url(self) -> str:
        return self.address(page=self.page.next_page_number()) if self.page.has_next() else ""

    def address(self, **changes: object) -> str:
        """This list with some parameters changed; None removes one."""
        query = self._clean_query()
        for name, value in changes.items():
            query.pop(name, None)
            if value not in (None, ""):
                query[name] = str(value)
        text = query.urlencode()
        return f"{self.request.path}?{text}" if text else self.request.path

    @property
    def sort_fields(self) -> list[tuple[str, str]]:
        """What the sort buttons' form must carry along."""
        kept = self._clean_query()
        return [(name, str(kept[name])) for name in kept if name not in ("sort", "page")]

    def _clean_query(self) -> QueryDict:
        query = self.request.GET.copy()
        for name in list(query):
            if not query[name]:
                del query[name]
        return query

    def _header(self, column: Column) -> Header:
        key = self.sort.removeprefix("-")
        down = self.sort.startswith("-")
        aria_sort = ("descending" if down else "ascending") if key == column.key else ""
        if not column.order:
            next_sort = ""
        elif aria_sort:
            next_sort = column.key if down else f"-{column.key}"
        else:
            next_sort = f"-{column.key}" if column.descending else column.key
        found = self.form[column.filter] if self.form is not None and column.filter else None
        return Header(column, aria_sort, next_sort, found)

    def _order(self) -> list[Any]:
        """Unknown values come last either way: they are neither the highest nor the lowest."""
        column = next(column for column in self.columns if column.key == self.sort.removeprefix("-"))
        down = self.sort.startswith("-")
        keys = [F(name).desc(nulls_last=True) if down else F(name).asc(nulls_last=True) for name in column.order]
        return [*keys, *(name for name in self.tie_break if name not in column.order)]


@dataclass(frozen=True, slots=True)
class Chip:
    """A common filter with the number of rows it would show."""

    label: str
    url: str
    count: int | None = None
    current: bool = False
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """What a list without rows says: a title, what it is for, and the button that ends it (label, url)."""

    title: str
    text: str
    icon: str = "database-off"
    action: tuple[str, str] = ("", "")
