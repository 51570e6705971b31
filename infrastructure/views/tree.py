"""The tree's fragments: all of it, a filtered one, or the branches that changed."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from infrastructure import tree
from infrastructure.models import VE
from infrastructure.tree_rows import NOWHERE, Branch
from panel.accounts.permissions import requires

IDS_AT_MOST = 200
DIGITS = 18  # what a database takes as an id


def tree_cookie() -> str:
    """Name of the cookie that holds the open nodes; a host's panels share cookies, so it names the instance."""
    return f"mooring_{settings.INSTANCE}_tree"


def open_nodes_of(request: HttpRequest) -> list[int]:
    """The nodes the user left open, newest first."""
    return _numbers(request.COOKIES.get(tree_cookie(), ""), ".")


@requires("infrastructure.view")
@require_safe
def tree_fragment(request: HttpRequest) -> HttpResponse:
    """GET /tree/: everything; ?q= filters; ?node=3 opens one branch; ?nodes=3,5&ves=7 reads changed branches again."""
    selected = request.GET.get("selected", "")
    opened = _numbers(request.GET.get("open", ""), ",")
    if "node" in request.GET:
        ids = _numbers(request.GET["node"], ",")
        return _answer(request, tree.branches_of(ids, open_nodes=[*ids, *opened], selected=selected))
    if "nodes" in request.GET or "ves" in request.GET:
        ids = _numbers(request.GET.get("nodes", ""), ",")
        ves = _numbers(request.GET.get("ves", ""), ",")
        homes = VE.objects.filter(pk__in=ves).values_list("node", flat=True)
        ids += [home if home is not None else NOWHERE for home in homes]
        return _answer(request, tree.branches_of(ids, open_nodes=opened, selected=selected))
    whole = tree.build(open_nodes=opened, selected=selected, query=request.GET.get("q", "")[:100])
    return render(request, "infrastructure/_tree_all.html", {"tree": whole})


def _answer(request: HttpRequest, branches: list[Branch]) -> HttpResponse:
    return render(request, "infrastructure/_tree_branches.html", {"branches": branches})


def _numbers(text: str, separator: str) -> list[int]:
    parts = text.split(separator)[:IDS_AT_MOST]
    return [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) <= DIGITS]
