"""The node or VE that an address names, for whom there is one.

What a user may not see does not exist for him: 404, whatever the method. What he sees and may not act upon is 403.
"""

from typing import TypeVar

from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from infrastructure.models import VE, Node
from panel.accounts.middleware import declared_permission
from panel.accounts.permissions import require
from panel.accounts.scopes import visible
from panel.audit.services import record
from panel.ui.signed_in import user_of

VIEW = "infrastructure.view"
SAFE = ("GET", "HEAD")
Kind = TypeVar("Kind", Node, VE)


def find_node(request: HttpRequest, pk: int, rows: QuerySet[Node] | None = None) -> Node:
    """The node; see `find`."""
    return find(request, Node.objects.all() if rows is None else rows, pk)


def find_ve(request: HttpRequest, pk: int, *related: str) -> VE:
    """The VE with its node and what else is named; see `find`."""
    return find(request, VE.objects.select_related("node", *related), pk)


def find(request: HttpRequest, rows: QuerySet[Kind], pk: int) -> Kind:
    """The row, in one query. Raises Http404, and PermissionDenied for a page that takes more than seeing.

    The attempt to open or change what is not shown is audited unless it only looks. What a POST does is asked for by
    its service.
    """
    match = request.resolver_match
    permission = declared_permission(match.func, match.url_name) if match else None
    found = visible(request.user, VIEW, rows).filter(pk=pk).first()
    if found is None:
        if permission != VIEW and rows.filter(pk=pk).exists():
            detail = "it lies outside the part of the tree that the user sees"
            # Not its name: who may read the trail reads there what they did themselves.
            record(action=f"{request.method} {request.path}", request=request, result="refused", detail=detail)
        raise Http404(f"There is no {_WORDS[rows.model]} {pk}, or your role does not show it.")
    if request.method in SAFE and permission is not None:
        require(user_of(request), permission, found)
    return found


_WORDS: dict[type, str] = {Node: "node", VE: "VE"}
