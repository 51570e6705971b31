"""The search: a list of results below its field, and a page of its own that works without script."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from panel.accounts.permissions import requires
from panel.search.registry import EVERYTHING, TEXT_AT_MOST, Found, Query, Source, chosen
from panel.ui.format import count
from panel.ui.htmx import is_fragment, render_page
from panel.ui.signed_in import user_of

IN_LIST = 8  # of each group
ON_PAGE = 20
ON_ONE = 100  # when a single group is shown


@dataclass(frozen=True, slots=True)
class Group:
    """The results of one source. `more` leads to all of them, empty when they are all here."""

    source: Source
    found: Found
    more: str
    previous: str = ""
    next: str = ""
    range: str = ""

    @property
    def counted(self) -> str:
        """ "312 VEs"."""
        return count(self.found.total, *self.source.noun)


@requires("account.self")
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """GET /search/?q=vmtest&scope=ves&page=2; for htmx the list below the field."""
    text = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:TEXT_AT_MOST]
    sources = chosen(user_of(request), request.GET.get("scope", EVERYTHING))
    scope = sources[0].key if len(sources) == 1 else EVERYTHING
    most = IN_LIST if is_fragment(request) else ON_ONE if len(sources) == 1 else ON_PAGE
    asked = request.GET.get("page", "")
    page = max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 7 and len(sources) == 1 else 1
    query = Query(text, (page - 1) * most, most)
    groups = [_group(request, source, query, page) for source in sources] if text else []
    groups = [group for group in groups if group.found.total]
    context = {
        "text": text,
        "scope": scope,
        "groups": groups,
        "total": sum(group.found.total for group in groups),
        "searched": [source.label for source in sources],
    }
    return render_page(request, "search/page.html", context, regions=("search-results",), fallback="search-results")


def _group(request: HttpRequest, source: Source, query: Query, page: int) -> Group:
    found = source.find(user_of(request), query)
    shown = len(found.hits)
    if shown >= found.total:
        return Group(source, found, "")
    if is_fragment(request) or query.most != ON_ONE:
        return Group(source, found, found.list_url or _address(query.text, source.key, 1))
    last = query.skip + shown
    return Group(
        source,
        found,
        found.list_url,
        _address(query.text, source.key, page - 1) if page > 1 else "",
        _address(query.text, source.key, page + 1) if last < found.total else "",
        f"{query.skip + 1:,}–{last:,} of {found.total:,}" if shown else "",
    )


def _address(text: str, scope: str, page: int) -> str:
    parameters = {"q": text, "scope": scope} | ({"page": str(page)} if page > 1 else {})
    return f"{reverse('search')}?{urlencode(parameters)}"
