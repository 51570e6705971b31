"""The certificates of all nodes as one part of the health page."""

from infrastructure.choices import NodeState
from infrastructure.models import Node
from panel.health.checks import Part
from panel.health.machine import days_left, state_of_days
from panel.ui import format as fmt

NAME, TITLE = "node-certificates", "Certificates of nodes"


def part() -> Part:
    """By the one that ends first."""
    known = Node.objects.exclude(state=NodeState.NEW).filter(certificate_expires_at__isnull=False)
    first = known.order_by("certificate_expires_at").only("name", "certificate_expires_at").first()
    if first is None or first.certificate_expires_at is None:
        return Part(NAME, TITLE, "ok", "No node is set up")
    days = days_left(first.certificate_expires_at)
    state = state_of_days(days)
    words = f"{fmt.count(days, 'day')} left" if days >= 0 else "Expired"
    if state == "ok":
        return Part(NAME, TITLE, "ok", words)
    return Part(
        NAME,
        TITLE,
        state,
        words,
        cause=f"{first}: valid until {first.certificate_expires_at:%b %d, %Y}. They are renewed 60 days before, while "
        "the node answers.",
        advice="See the last task of the node for what stood in the way, then use Configure, Re-issue certificates.",
    )
