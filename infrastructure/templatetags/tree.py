"""The Infrastructure tree at the side of every page."""

from typing import Any

from django import template
from django.urls import reverse

from infrastructure import tree
from infrastructure.services.bulk import ACTIONS
from infrastructure.tree_shape import Want
from infrastructure.views.tree import left_open, tree_cookie
from panel.accounts.permissions import can_anywhere

register = template.Library()


@register.inclusion_tag("infrastructure/_tree.html", takes_context=True)
def infrastructure_tree(context: dict[str, Any]) -> dict[str, Any]:
    """The tree with its filter; the page names its object by `tree_selected` ("root", "node:3", "ve:7")."""
    request = context["request"]
    if not can_anywhere(request.user, "infrastructure.view"):
        return {"tree": None}
    opened, top, in_view = left_open(request)
    want = Want(opened=frozenset(opened), selected=context.get("tree_selected", ""))
    return {
        "tree": tree.page(request.user, want, top=top, in_view=in_view),
        "selected": want.selected,
        "cookie": tree_cookie(),
        "bulk_url": reverse("infrastructure:bulk"),
        "bulk_actions": [
            action
            for action in ACTIONS.values()
            if action.type == "ve" and can_anywhere(request.user, action.permission)
        ],
        "here": request.get_full_path() if request.method == "GET" else "",
        "csrf_token": context.get("csrf_token"),
    }
