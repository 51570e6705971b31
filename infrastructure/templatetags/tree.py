"""The Infrastructure tree at the side of every page."""

from typing import Any

from django import template

from infrastructure.tree import build
from infrastructure.views.tree import open_nodes_of, tree_cookie
from panel.accounts.permissions import can_anywhere

register = template.Library()


@register.inclusion_tag("infrastructure/_tree.html", takes_context=True)
def infrastructure_tree(context: dict[str, Any]) -> dict[str, Any]:
    """The tree with its filter; the page names its object by `tree_selected` ("root", "node:3", "ve:7")."""
    request = context["request"]
    if not can_anywhere(request.user, "infrastructure.view"):
        return {"tree": None}
    selected = context.get("tree_selected", "")
    return {
        "tree": build(open_nodes=open_nodes_of(request), selected=selected),
        "selected": selected,
        "cookie": tree_cookie(),
    }
