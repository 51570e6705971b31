"""Lists as declarations: columns, sort keys and page sizes; the state of a list lives in the address."""

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import cached_property

from panel.preferences.services import columns_of, saved_query, views_for
from panel.ui.columns import (
    Choice,
    Column,
    Header,
    choices,
    chosen_columns,
    default_columns,
    in_order,
    join_keys,
    parse_keys,
)
from panel.ui.list_parts import Chip, Empty, View

__all__ = ["Chip", "Column", "Empty", "Header", "Table", "View"]


_tables: "dict[str, type[Table]]" = {}


def table_named(region: str) -> "type[Table] | None":
    """The list that declares this region; None when there is none."""
    return _tables.get(region)


class Table:
    """Base of the lists. `noun` is (singular, plural); the last sort key makes the order total.

    A subclass declares its columns and its row template, whose cells stand in `{% cells %}{% cell "key" %}…`; column
    chooser, saved views and the rest of the list come with that. `region` is the element's id and names the list in
    what users prefer. `bulk` is the type of the objects that its rows can be selected for; see `object_of`.
    """

    columns: ClassVar[Sequence[Column]]
    row_template: ClassVar[str]
    noun: ClassVar[tuple[str, str]]
    region: ClassVar[str]
    label: ClassVar[str]
    default_sort: ClassVar[str] = "name"
    tie_break: ClassVar[tuple[str, ...]] = ("name", "pk")
    chooses: ClassVar[bool] = True
    bulk: ClassVar[str] = ""
    bulk_template: ClassVar[str] = ""
    bar_template: ClassVar[str] = ""
    sizes: ClassVar[tuple[int, ...]] = (20, 50, 100, 200)
    default_size: ClassVar[int] = 50

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "region" in cls.__dict__:
            _tables[cls.region] = cls

    def __init__(
        self,
        request: HttpRequest,
        rows: QuerySet[Any] | Sequence[Any],
        form: Any = None,
        context: Any = None,
        unfiltered: int | None = None,
    ) -> None:
        """`rows`: a queryset, or objects made for the list, whose attributes `order` and `tie_break` name then.

        `unfiltered`: how many rows there are without the filters, where that is known already.
        """
        self.unfiltered = unfiltered
        self.request = request
        self.queryset: Any = rows
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
        return next((size for size in self.sizes if str(size) == asked), self.default_size)

    @cached_property
    def page(self) -> Page[Any]:
        """The page the address names; the nearest one when it is out of range.

        Rows that fit on one page are not counted besides: they are there already.
        """
        rows = self.ordered()
        paginator = Paginator(rows, self.size)
        if self.unfiltered is not None and not self.filtered:
            paginator.count = self.unfiltered
        elif self.request.GET.get("page", "1") == "1":
            first = list(rows[: self.size + 1])
            if len(first) <= self.size:
                paginator.count = len(first)
            return Page(first[: self.size], 1, paginator)
        return paginator.get_page(self.request.GET.get("page"))

    def ordered(self) -> Any:
        """All rows in the order that the address asks for: to slice and to count."""
        if isinstance(self.queryset, QuerySet):
            return self.queryset.order_by(*self._order())
        return in_order(self.queryset, self._sorted_by, self.tie_break, down=self.sort.startswith("-"))

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
    def shown(self) -> tuple[Column, ...]:
        """The columns of this page: those of the address, else those the user chose, else the default ones."""
        if self.overridden:
            return chosen_columns(self.columns, parse_keys(self.request.GET["columns"]))
        chosen = columns_of(self.request.user, self.region) if self.chooses else None
        return default_columns(self.columns) if chosen is None else chosen_columns(self.columns, chosen)

    @property
    def chosen(self) -> bool:
        """Whether somebody chose these columns: then all of them are shown on narrow screens too."""
        return self.shown != default_columns(self.columns)

    @property
    def overridden(self) -> bool:
        """Whether the address names the columns."""
        return self.chooses and bool(self.request.GET.get("columns"))

    @property
    def chooser(self) -> list[Choice]:
        return choices(self.columns, self.shown)

    @property
    def selects(self) -> bool:
        """Whether this user can do something with several rows at once."""
        return False

    def object_of(self, row: Any) -> tuple[int, str]:
        """(id, name) of the object of a row, for its checkbox."""
        raise NotImplementedError(f"{type(self).__name__} is selectable, so it must name the object of a row")

    @cached_property
    def views(self) -> list[View]:
        """The saved views that this user sees, as links; the current one is marked."""
        here = saved_query(self.request.GET.urlencode())
        found = views_for(self.request.user, self.region) if self.chooses else []
        return [
            View(view, f"{self.request.path}?{view.query}", view.query == here, view.owner_id == self.request.user.pk)
            for view in found
        ]

    @property
    def current_view(self) -> View | None:
        return next((view for view in self.views if view.current), None)

    @property
    def filter_query(self) -> str:
        """The filters alone: what finds the same rows, however the list looks."""
        query = self._clean_query()
        names = self.form.fields if self.form is not None else ()
        return urlencode([(name, query[name]) for name in query if name in names])

    @property
    def view_query(self) -> str:
        """What a view saved now would hold: the address, with the columns named."""
        return self.address(page=None, columns=join_keys(self.shown)).partition("?")[2]

    @cached_property
    def headers(self) -> list[Header]:
        return [self._header(column) for column in self.shown]

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the filters' form must carry along: sort, named columns, and the filters of columns that are hidden."""
        visible = {header.column.filter for header in self.headers}
        hidden = [column.filter for column in self.columns if column.filter and column.filter not in visible]
        names = [*(["sort"] if self.sort != self.default_sort else []), "columns", *hidden]
        query = self._clean_query()
        return [(name, str(query[name])) for name in names if name in query]

    @property
    def filtered(self) -> bool:
        """Whether a filter hides rows."""
        return bool(self.form is not None and any(self.request.GET.get(name) for name in self.form.fields))

    @property
    def url(self) -> str:
        """This very list: filters, sort and page, without what is empty."""
        return self.address()

    @property
    def plain_url(self) -> str:
        """This very list with the columns that the user chose."""
        return self.address(columns=None)

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

    @property
    def _sorted_by(self) -> Column:
        return next(column for column in self.columns if column.key == self.sort.removeprefix("-"))

    def _order(self) -> list[Any]:
        """Unknown values come last either way: they are neither the highest nor the lowest."""
        column = self._sorted_by
        keys = [self._sort_key(name, down=self.sort.startswith("-")) for name in column.order]
        return [*keys, *(name for name in self.tie_break if name not in column.order)]

    def _sort_key(self, name: str, *, down: bool) -> Any:
        if not self._may_be_unknown(name):
            return F(name).desc() if down else F(name).asc()  # plain, so that an index on it serves
        return F(name).desc(nulls_last=True) if down else F(name).asc(nulls_last=True)

    def _may_be_unknown(self, name: str) -> bool:
        try:
            return bool(self.queryset.model._meta.get_field(name).null)
        except (FieldDoesNotExist, AttributeError):  # an annotation, or a field of another model
            return True
