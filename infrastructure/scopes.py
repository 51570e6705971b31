"""Parts of the tree that a role may be bound to: a node with what runs on it, or one VE."""

from infrastructure.models import VE, Node
from panel.accounts.scopes import Scope, register_rows, register_scope


def register() -> None:
    """Called when the app starts."""
    register_scope(
        Scope(
            "node",
            "Node",
            members=lambda: Node.objects.order_by("name"),
            holds={
                "node": lambda ids: Node.objects.filter(pk__in=ids),
                "ve": lambda ids: VE.objects.filter(node_id__in=ids),
            },
        )
    )
    # There may be tens of thousands: no list to choose from, `add_user --over ve:7` binds one.
    register_scope(
        Scope(
            "ve",
            "VE",
            members=lambda: VE.objects.order_by("name"),
            holds={"ve": lambda ids: VE.objects.filter(pk__in=ids)},
            listed=False,
        )
    )
    register_rows(Node, lambda covered: covered.ids("node", "pk"))
    register_rows(VE, lambda covered: covered.ids("ve", "pk"))
