"""Why a node cannot be removed. Asked by other apps, so it loads no driver: a worker forks before libvirt is loaded."""

from infrastructure.models import Node
from iscsi.models import Target


def holding(node: Node) -> str:
    """Why the node must keep what it has: "primary has the targets target1, target2"; "" without any."""
    names = list(Target.objects.filter(node=node).order_by("name").values_list("name", flat=True))
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{node} has the {'target' if len(names) == 1 else 'targets'} {shown}"
